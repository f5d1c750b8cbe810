"""An exported folder, run on a photo and compared with the model it was made of."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..backends.base import Backend
from ..errors import ExportError
from ..geometry import MASK_STRIDE, Letterbox
from ..image import to_rgb, to_tensor
from ..masks import iou
from ..nn.sam import Sam
from ..types import F32, Bool
from .verify import PHOTO

LEAST_IOU = {"fp32": 0.99, "fp16": 0.97, "int8": 0.9, "int8-weights": 0.95}
"""Mean mask IoU below which an export has failed."""
GRID = 8
ROUNDS = 5

Prompt = tuple[F32, F32, F32 | None]
"""Points (1, N, 2), labels (1, N), earlier logits (1, 1, h, w) or None."""


@dataclass(frozen=True)
class Parity:
    """How far an export is from its model, and its times on this machine."""

    prompts: int
    embedding_error: float
    """|difference| / |embedding|, root mean square."""
    mean_iou: float
    min_iou: float
    encode_ms: float
    decode_ms: float
    """One click."""

    def check(self, precision: str) -> None:
        """Raises ExportError where the masks are others than the model's."""
        least = LEAST_IOU[precision]
        if not self.mean_iou >= least:  # NaN too
            raise ExportError(
                f"The exported files give other masks than the model: mean mask IoU {self.mean_iou:.3f} over "
                f"{self.prompts} prompts on the test photo, at least {least} is wanted for {precision}. Nothing was "
                "written; try the versions of torch and of the converter in constraints.txt."
            )

    def as_dict(self) -> dict[str, float]:
        """For the manifest."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Case:
    """A photo, and what the model itself makes of it."""

    tensor: F32
    features: F32
    expected: list[tuple[Prompt, int, Bool]]
    """Of each prompt that of the four masks for which the model predicts the highest IoU: its number, and the mask."""


def cases(sam: Sam, photos: Sequence[Path] = (PHOTO,)) -> list[Case]:
    """`GRID` x `GRID` prompts on each photo: clicks, pairs of clicks, boxes, and clicks with an earlier mask."""
    return [_case(sam, *_read(path, sam.prompt_encoder.img_size)) for path in photos]


@torch.inference_mode()
def _case(sam: Sam, letterbox: Letterbox, tensor: F32) -> Case:
    features = sam.encode(torch.from_numpy(tensor))
    expected = []
    for prompt in prompts(letterbox):
        arrays = (None if a is None else torch.from_numpy(a) for a in prompt)
        logits, quality = sam.decode(features, *arrays)  # type: ignore[arg-type]  # only the last may be None
        best = int(quality[0].argmax())
        expected.append((prompt, best, logits[0, best].numpy() > 0))
    return Case(tensor, features.numpy(), expected)


def measure(backend: Backend, photos: Sequence[Case]) -> Parity:
    """An export against the model: masks on each photo, times on the first, of its first prompt, a click."""
    errors, agreement = [], []
    for case in photos:
        features = backend.encode(case.tensor)
        errors.append(float(np.linalg.norm(features - case.features) / np.linalg.norm(case.features)))
        for prompt, best, mask in case.expected:
            logits, _ = backend.decode(features, *prompt)
            agreement.append(iou(logits[0, best] > 0, mask))
    image, (click, *_) = photos[0].tensor, photos[0].expected[0]
    features = backend.encode(image)
    return Parity(
        prompts=len(agreement),
        embedding_error=float(np.mean(errors)),
        mean_iou=float(np.mean(agreement)),
        min_iou=min(agreement),
        encode_ms=_milliseconds(lambda: backend.encode(image)),
        decode_ms=_milliseconds(lambda: backend.decode(features, *click)),
    )


def example(img_size: int) -> tuple[F32, Prompt]:
    """The test photo as the encoder takes it, and a click on it."""
    letterbox, tensor = _read(PHOTO, img_size)
    return tensor, next(prompts(letterbox))


def _read(path: Path, img_size: int) -> tuple[Letterbox, F32]:
    photo = to_rgb(path)
    letterbox = Letterbox((photo.shape[0], photo.shape[1]), img_size)
    return letterbox, to_tensor(photo, letterbox)


def prompts(letterbox: Letterbox) -> Iterator[Prompt]:
    """The prompts of `cases`, in the model's pixels; the earlier mask is a disc around the click."""
    height, width = letterbox.resized_hw
    low = letterbox.size // MASK_STRIDE
    rows, columns = np.mgrid[:low, :low] * float(MASK_STRIDE)
    for number in range(GRID * GRID):
        row, column = divmod(number, GRID)
        x, y = (column + 0.5) * width / GRID, (row + 0.5) * height / GRID
        kind = number % 4
        if kind == 1:
            half = 0.1 * letterbox.size
            yield _prompt([(x - half, y - half), (x + half, y + half)], [2, 3])
        elif kind == 2:
            yield _prompt([(x, y), (width - x, y), (0, 0)], [1, 0, -1])
        elif kind == 3:
            disc = np.clip(0.1 * letterbox.size - np.hypot(columns - x, rows - y), -10, 10)
            yield _prompt([(x, y), (0, 0)], [1, -1], disc.astype(np.float32)[None, None])
        else:
            yield _prompt([(x, y), (0, 0)], [1, -1])


def _prompt(points: list[tuple[float, float]], labels: list[int], mask: F32 | None = None) -> Prompt:
    return np.array([points], np.float32), np.array([labels], np.float32), mask


def _milliseconds(job: Callable[[], object]) -> float:
    """The median of `ROUNDS`, after one of warm-up."""
    times = []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]) * 1000
