"""An object carried along a video: each frame's mask is the prompt for the next frame.

SAM sees one picture at a time and has no memory, so this follows what stays recognisable from one frame to the next; it
isn't SAM 2, and an object that hides for a moment is lost. docs/video.md says what that is good for, and how good.

1. The mask before (its logits) and its box, both moved on as the object moved last, are the prompt. A mask with a high
   predicted IoU that overlaps the one before is taken.
2. Where one is in doubt, the box alone and a click in the middle are tried too, and the best of all by predicted IoU
   times overlap is taken.
3. Where that one is too bad, the object is lost: it is left out from this frame on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from . import prompts
from .embedding import Embedding
from .errors import InputError
from .geometry import MASK_STRIDE, Letterbox
from .masks import iou
from .predictor import Predictor
from .prompts import Prompt
from .results import MASK_THRESHOLD, Results
from .sources import Picture
from .types import F32

MARGIN = 0.05
"""The box of the mask before is grown by this share of its sides: objects move and turn."""
NO_POINTS = (np.zeros((0, 2), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Limits:
    """When a mask is believed. Raises InputError for shares that don't lie within 0..1."""

    sure_iou: float = 0.8
    """Predicted IoU from which on nothing else is tried, if the overlap is as good."""
    sure_overlap: float = 0.6
    """The same of the overlap (IoU) with the mask before."""
    least_iou: float = 0.5
    """Below it the object is lost."""
    least_overlap: float = 0.3
    """Below it the object is lost: it jumped, or this is another one."""

    @classmethod
    def of(cls, given: Mapping[str, float]) -> Limits:
        """Of the arguments that `SAM.track` got. Raises InputError for one that doesn't exist."""
        if unknown := set(given) - set(cls.__dataclass_fields__):
            raise InputError(f"track() has no argument {min(unknown)!r}; it has {', '.join(cls.__dataclass_fields__)}.")
        return cls(**given)

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in vars(self).values()):
            raise InputError(f"The limits of tracking are shares within 0..1, got {vars(self)}.")


@dataclass(frozen=True)
class Lost:
    """Where an object was lost."""

    frame: int
    """From 1, of the frames that were looked at."""
    name: str
    iou: float
    """Predicted IoU of the best mask there."""
    overlap: float
    """Its overlap with the mask before."""


@dataclass(frozen=True, eq=False)
class _Mask:
    low_res: F32
    iou: float
    box: F32
    overlap: float = 1.0

    @property
    def score(self) -> float:
        return self.iou * self.overlap


class Track:
    """Results frame by frame: of each object that isn't lost one mask, `prompt_index` says which.

    It ends with the video, or where all objects are lost. Iterate once; frames are encoded as they are asked for.
    """

    def __init__(self, predictor: Predictor, pictures: Iterator[Picture], limits: Limits, **given: Any) -> None:
        self._predictor, self._pictures, self._limits, self._given = predictor, pictures, limits, given
        self.lost: dict[int, Lost] = {}
        """Objects, by their numbers, that were lost so far."""

    def __iter__(self) -> Iterator[Results]:
        """See the class. Raises PromptError, SourceNotFoundError, ImageError."""
        before: dict[int, tuple[_Mask, F32]] = {}
        for number, picture in enumerate(self._pictures, start=1):
            image = picture.load()
            first = prompts.build(self._predictor.letterbox(image), **self._given) if number == 1 else ()
            embedding = self._predictor.embed(image, name=picture.name, path=picture.path)
            if first:
                found = dict(enumerate(_masks(self._predictor.predict(embedding, first, "best"))))
            else:
                found = {which: self._next(embedding, *state) for which, state in before.items()}
            self._forget(found, number, picture.name)
            before = {which: (mask, _motion(mask, before.get(which))) for which, mask in found.items()}
            yield _results(embedding, found)
            if not found:
                return

    def _next(self, embedding: Embedding, before: _Mask, motion: F32) -> _Mask:
        """The best mask of an object in this frame."""
        box = _moved(before.box, motion, embedding)
        before = replace(before, low_res=_shifted(before.low_res, motion, embedding.letterbox))
        mask = self._tried(embedding, [Prompt(*NO_POINTS, box, before.low_res)], before)
        if mask.iou >= self._limits.sure_iou and mask.overlap >= self._limits.sure_overlap:
            return mask
        click = np.clip(_middle(before.low_res, embedding.letterbox), 0, embedding.image_hw[::-1])
        others = [Prompt(*NO_POINTS, box), Prompt(click[None].astype(np.float32), np.ones(1, np.float32))]
        return max((mask, self._tried(embedding, others, before)), key=lambda one: one.score)

    def _tried(self, embedding: Embedding, tries: Sequence[Prompt], before: _Mask) -> _Mask:
        inside = before.low_res > MASK_THRESHOLD
        found = _masks(self._predictor.predict(embedding, tries))
        compared = [replace(mask, overlap=iou(mask.low_res > MASK_THRESHOLD, inside)) for mask in found]
        return max(compared, key=lambda mask: mask.score)

    def _forget(self, found: dict[int, _Mask], number: int, name: str) -> None:
        """Take out those that are too bad. An empty mask has no box to go on with."""
        for which, mask in list(found.items()):
            good = mask.iou >= self._limits.least_iou and mask.overlap >= self._limits.least_overlap
            if not (good and mask.box[2] > mask.box[0]):
                self.lost[which] = Lost(number, name, round(mask.iou, 4), round(mask.overlap, 4))
                del found[which]


def _masks(results: Results) -> list[_Mask]:
    return [_Mask(results.low_res[i], float(results.iou[i]), results.boxes[i]) for i in range(len(results))]


def _results(embedding: Embedding, found: dict[int, _Mask]) -> Results:
    low = embedding.letterbox.size // MASK_STRIDE
    return Results(
        low_res=np.array([mask.low_res for mask in found.values()], np.float32).reshape(-1, low, low),
        iou=np.array([mask.iou for mask in found.values()], np.float32),
        prompt_index=np.array(list(found), np.int64),
        letterbox=embedding.letterbox,
        image=embedding.image,
        path=embedding.path,
        name=embedding.name,
    )


def _motion(mask: _Mask, before: tuple[_Mask, F32] | None) -> F32:
    """How the box's middle moved since the frame before (x, y)."""
    if before is None:
        return np.zeros(2, np.float32)
    return np.asarray(_centre(mask.box) - _centre(before[0].box), np.float32)


def _centre(box: F32) -> F32:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)


def _moved(box: F32, motion: F32, embedding: Embedding) -> F32:
    """The box where it may be now, a little larger, inside the frame."""
    height, width = embedding.image_hw
    x1, y1, x2, y2 = (float(value) for value in box + np.tile(motion, 2))
    grow_x, grow_y = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    x1, x2 = max(0.0, min(x1 - grow_x, width - 1)), min(float(width), max(x2 + grow_x, 1))
    y1, y2 = max(0.0, min(y1 - grow_y, height - 1)), min(float(height), max(y2 + grow_y, 1))
    return np.array([x1, y1, x2, y2], np.float32)


def _shifted(low_res: F32, motion: F32, letterbox: Letterbox) -> F32:
    """The logits where the mask may be now; what comes in from outside is as surely nothing as the surest."""
    dx, dy = letterbox.to_model(motion) / MASK_STRIDE
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    return np.asarray(
        cv2.warpAffine(low_res, matrix, low_res.shape[::-1], borderValue=float(low_res.min())), np.float32
    )


def _middle(low_res: F32, letterbox: Letterbox) -> F32:
    """The point (x, y) of a mask that lies farthest from its edge."""
    inside = np.pad(low_res > MASK_THRESHOLD, 1).astype(np.uint8)
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(inside, cv2.DIST_L2, 3))
    return letterbox.to_image(MASK_STRIDE * (np.array([x - 1, y - 1]) + 0.5))
