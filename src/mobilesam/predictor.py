"""Predictor: from pixels to an embedding, from prompts to masks; the only orchestrator."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from .backends.base import Backend
from .classes import ClassHead
from .embedding import Embedding
from .errors import InputError
from .geometry import MASK_STRIDE, Letterbox
from .image import to_tensor
from .masks import stability_score
from .padding import Padding
from .prompts import Prompt
from .results import Results
from .types import F32, U8, Bool, Int, Multimask

T = TypeVar("T")
BATCH = 8
"""Prompts decoded at once: larger batches are no faster on a CPU and leave its cache."""
MULTIMASK = (False, True, "best")


class Predictor:
    """A backend and threads that call it: no state changes between calls, so threads may share it."""

    def __init__(self, backend: Backend, head: ClassHead | None = None, padding: Padding | None = None) -> None:
        self.backend, self.head, self.padding = backend, head, padding
        # The same threads for every call: new ones would each leave freed memory in an arena of their own.
        self._pool = ThreadPoolExecutor(backend.info.streams, thread_name_prefix="mobilesam-decode")

    def letterbox(self, image_rgb: U8) -> Letterbox:
        """How this image lies in the model's square."""
        height, width = image_rgb.shape[:2]
        return Letterbox((height, width), self.backend.info.img_size)

    def embed(self, image_rgb: U8, *, name: str = "image0", path: Path | None = None) -> Embedding:
        """The embedding of an RGB image (H, W, 3) uint8."""
        letterbox = self.letterbox(image_rgb)
        if self.padding:
            features = self.padding.encode(image_rgb, letterbox)
        else:
            features = self.backend.encode(to_tensor(image_rgb, letterbox))
        return Embedding(features, letterbox, self.backend.info.model_id, image_rgb, name, path)

    def predict(self, embedding: Embedding, prompts: Sequence[Prompt], multimask: Multimask = False) -> Results:
        """The masks of all prompts, in their order.

        `multimask` False returns the single-mask output; True three masks a prompt, prompt by prompt;
        "best" the one that measures best (docs/decisions/0003-which-mask.md): for a lone click, which may mean a
        part or the whole, the one of the three with the highest predicted IoU times stability score, for all else the
        single-mask output.
        Raises InputError for an embedding of another model.
        """
        if multimask not in MULTIMASK:
            raise InputError(f"multimask must be False, True or 'best', got {multimask!r}.")
        if embedding.model_id != self.backend.info.model_id:
            raise InputError(
                f"The embedding was made by {embedding.model_id}, this model is {self.backend.info.model_id}; "
                "embed the image again."
            )
        low = self.backend.info.img_size // MASK_STRIDE
        per_prompt = 3 if multimask is True else 1
        low_res = np.empty((len(prompts), per_prompt, low, low), np.float32)
        iou = np.empty((len(prompts), per_prompt), np.float32)
        for index, (logits_bmhw, iou_bm) in self.decoded(embedding, prompts):
            lone_b = np.array([prompts[i].is_lone_click for i in index])
            rows, chosen = np.arange(len(index))[:, None], _choose(logits_bmhw, iou_bm, lone_b, multimask)
            low_res[index], iou[index] = logits_bmhw[rows, chosen], iou_bm[rows, chosen]
        low_res_nhw = low_res.reshape(-1, low, low)
        classes, scores = self.head.classify(embedding.features_bchw, low_res_nhw) if self.head else (None, None)
        return Results(
            low_res=low_res_nhw,
            iou=iou.reshape(-1),
            prompt_index=np.repeat(np.arange(len(prompts)), per_prompt),
            letterbox=embedding.letterbox,
            image=embedding.image,
            path=embedding.path,
            name=embedding.name,
            classes=classes,
            class_scores=scores,
            names=self.head.names if self.head else None,
        )

    def clicked(self, features_bchw: F32, coords_n2: F32, batch: int = BATCH) -> Iterator[tuple[int, F32, F32]]:
        """Single clicks, in the model's pixels, batch by batch: the first one's number, logits, predicted IoU.

        `features_bchw` may be a smaller map than the encoder's, see `Backend.decode`. Every batch has the
        same size, so that a runtime needs one shape; what fills the last one up is cut off.
        """
        starts = range(0, len(coords_n2), batch)

        def decode(start: int) -> tuple[F32, F32]:
            part = coords_n2[start : start + batch]
            coords_bn2 = np.zeros((batch, 2, 2), np.float32)  # the second token is SAM's padding point
            coords_bn2[: len(part), 0] = part
            labels_bn = np.tile(np.array([1, -1], np.float32), (batch, 1))
            logits_bmhw, iou_bm = self.backend.decode(features_bchw, coords_bn2, labels_bn)
            return logits_bmhw[: len(part)], iou_bm[: len(part)]

        for start, (logits_bmhw, iou_bm) in zip(starts, self._each(decode, starts), strict=True):
            yield start, logits_bmhw, iou_bm

    def decoded(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Iterator[tuple[Int, tuple[F32, F32]]]:
        """Indices of some prompts, and the decoder's answer to them: logits (b, 4, ...) and predicted IoU (b, 4).

        Prompts of equal length go together: padding them to one length would change their masks.
        """
        tokens = [prompt.tokens(embedding.letterbox) for prompt in prompts]
        kinds = [(len(labels), prompt.mask_hw is not None) for prompt, (_, labels) in zip(prompts, tokens, strict=True)]
        groups = list(_groups(kinds))

        def decode(index: Int) -> tuple[F32, F32]:
            coords_bn2, labels_bn = (np.stack([tokens[i][part] for i in index]) for part in (0, 1))
            masks = [mask for i in index if (mask := prompts[i].mask_hw) is not None]
            mask_b1hw = np.stack(masks)[:, None] if masks else None
            return self.backend.decode(embedding.features_bchw, coords_bn2, labels_bn, mask_b1hw)

        yield from zip(groups, self._each(decode, groups), strict=True)

    def _each(self, decode: Callable[[T], tuple[F32, F32]], calls: Sequence[T]) -> Iterator[tuple[F32, F32]]:
        """The answers in order, as many calls at a time as the backend likes, and one more than is waited for."""
        streams = min(self.backend.info.streams, len(calls))
        if streams <= 1:
            yield from map(decode, calls)
            return
        running: deque[Future[tuple[F32, F32]]] = deque()
        try:
            for call in calls:
                running.append(self._pool.submit(decode, call))
                if len(running) > streams:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:  # whoever stops listening leaves no work behind
            for future in running:
                future.cancel()


def _groups(kinds: Sequence[tuple[int, bool]]) -> Iterator[Int]:
    """Indices of prompts of one kind (number of tokens, whether with a mask), at most `BATCH` at a time."""
    alike: dict[tuple[int, bool], list[int]] = {}
    for i, kind in enumerate(kinds):
        alike.setdefault(kind, []).append(i)
    for members in alike.values():
        for start in range(0, len(members), BATCH):
            yield np.array(members[start : start + BATCH])


def _choose(logits_bmhw: F32, iou_bm: F32, lone_b: Bool, multimask: Multimask) -> Int:
    """Which of the four masks are returned: (B, 1) or (B, 3); `lone_b` says which prompts are lone clicks."""
    count = len(iou_bm)
    if multimask == "best":
        best = np.zeros((count, 1), np.int64)
        for i in np.flatnonzero(lone_b):
            scores = [iou * stability_score(mask) for iou, mask in zip(iou_bm[i, 1:], logits_bmhw[i, 1:], strict=True)]
            best[i] = 1 + int(np.argmax(scores))
        return best
    wanted = [1, 2, 3] if multimask else [0]
    return np.tile(np.array(wanted), (count, 1))
