"""What the lanes compute. All of it runs in threads, and looks at its Stop between steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import prompts
from ..embedding import Embedding
from ..errors import PromptError
from ..geometry import Letterbox
from ..model import SAM
from ..prompts import Prompt
from ..results import Results
from ..scene import Scene
from ..types import U8, Bool
from .config import ServerConfig
from .messages import EverythingRequest, MasksRequest, PromptIn, RunLengths
from .pictures import decode
from .pool import Stop


@dataclass
class Work:
    """The computations of one service."""

    sam: SAM
    config: ServerConfig

    def embed(self, data: bytes, stop: Stop) -> Embedding:
        """A picture's embedding. Raises ImageError, ImageTooLargeError."""
        image = decode(data, self.config.pixels)
        stop.check()
        return self.sam.predictor.embed(image)

    def masks(self, source: Embedding | bytes, asked: MasksRequest, stop: Stop) -> tuple[Results, dict[str, float]]:
        """Masks of an embedding or a picture, and milliseconds of the steps. Raises PromptError, and as `embed`."""
        watch = Watch()
        embedding, built = self._prepared(source, asked.prompts, stop, watch)
        stop.check()
        results = self.sam.predictor.predict(embedding, built, asked.multimask)
        watch.lap("decode")
        return results, watch.ms

    def _prepared(
        self, source: Embedding | bytes, asked: Sequence[PromptIn], stop: Stop, watch: Watch
    ) -> tuple[Embedding, list[Prompt]]:
        if isinstance(source, Embedding):
            return source, built(asked, source.letterbox)
        image = decode(source, self.config.pixels)
        prompts_ = built(asked, self.sam.predictor.letterbox(image))  # before the encoder: mistakes should cost nothing
        stop.check()
        embedding = self.sam.predictor.embed(image)
        watch.lap("encode")
        return embedding, prompts_

    def everything(
        self, source: Embedding | bytes, asked: EverythingRequest, report: Callable[[int, int], None], stop: Stop
    ) -> Scene:
        """All masks; ends between two batches of clicks once it is stopped. Raises InputError, and as `embed`."""

        def progress(done: int, total: int) -> None:
            stop.check()
            report(done, total)

        photo: Embedding | U8 = source if isinstance(source, Embedding) else decode(source, self.config.pixels)
        stop.check()
        scene: Scene = self.sam.everything(photo, progress=progress, **asked.options.config())
        return scene

    def warm_up(self, stop: Stop) -> None:
        """Have everything loaded that a first click needs."""
        embedding = self.sam.predictor.embed(np.zeros((64, 64, 3), np.uint8))
        stop.check()
        self.sam.predictor.predict(embedding, prompts.build(embedding.letterbox, points=[32, 32]))


class Watch:
    """Milliseconds of the steps of a job."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Note what passed since the last call."""
        now = time.perf_counter()
        self.ms[name], self._last = round(1000 * (now - self._last), 2), now


def built(asked: Sequence[PromptIn], letterbox: Letterbox) -> list[Prompt]:
    """The prompts, checked against the picture. Raises PromptError, which names the prompt."""
    made: list[Prompt] = []
    for number, prompt in enumerate(asked):
        given: dict[str, Any] = {}
        if prompt.points or prompt.labels:
            given = {"points": [prompt.points], "labels": None if prompt.labels is None else [prompt.labels]}
        if prompt.box is not None:
            given["bboxes"] = [prompt.box]
        try:
            if prompt.mask is not None:
                given["masks"] = [mask_of(prompt.mask, letterbox.image_hw)]
            made += prompts.build(letterbox, **given)
        except PromptError as error:
            raise PromptError(f"Prompt {number}: {error}") from error
    return made


def mask_of(lengths: RunLengths, image_hw: tuple[int, int]) -> Bool:
    """The mask of run lengths from a stranger. pycocotools' decoder trusts them, so each is checked before it counts.

    Raises PromptError unless they fill exactly the picture.

    >>> mask_of(RunLengths(size=[1, 4], counts="121"), (1, 4)).tolist()
    [[False, True, True, False]]
    """
    height, width = image_hw
    if lengths.size != [height, width]:
        raise PromptError(f"The mask has the size {lengths.size}, the picture {[height, width]}.")
    counts = counts_of(lengths.counts)
    if counts is None or sum(counts) != height * width or min(counts) < 0:
        raise PromptError("The mask's run lengths don't fill the picture; send COCO's compressed form.")
    inside = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, counts).reshape(width, height).T)


def counts_of(text: str) -> list[int] | None:
    """COCO's compressed run lengths as numbers; None where it is none: five bits a character, low ones first."""
    counts: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits > 35:
            return None
        value |= (code & 31) << bits
        bits += 5
        if not code & 32:
            value -= (1 << bits) if code & 16 else 0
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = bits = 0
    return counts if counts and not bits else None
