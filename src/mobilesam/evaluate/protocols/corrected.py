"""Boxes or points, then one correcting click after another: EdgeSAM's eval_mIoU.py, which box and point files set up.

After each prediction one pixel is drawn at random, each equally likely, from where prediction and truth differ at
256 x 256 (positive where object is missing, negative where too much is there), and added to the clicks so far; earlier
logits are not fed back. With fewer than ten such pixels nothing is added and the mask stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...geometry import MASK_STRIDE, Letterbox
from ...prompts import Prompt
from ...types import F32, Bool
from ..clicker import Click, random_pixel
from ..datasets import Instance
from .base import Case, Protocol, Row, click_prompt, record

FEWEST_ERRORS = 10

Start = Callable[[Instance, np.random.Generator], tuple[list[Click], F32 | None]]
"""An object's first clicks and its box."""


@dataclass(frozen=True)
class Corrected(Protocol):
    """One prompt an object, then `corrections` clicks; scores "iou", "iou+1", "iou+2"."""

    name: str
    title: str
    start: Start
    of_three: bool = False
    corrections: int = 2
    crowds: bool = False
    smallest_area: float = 0.0

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        chosen = case.instances if self.crowds else case.objects
        objects = [instance for instance in chosen if instance.area >= self.smallest_area]
        if not objects:
            return []
        starts = [self.start(instance, case.rng) for instance in objects]
        clicks, boxes = [list(first) for first, _ in starts], [box for _, box in starts]
        scores: list[dict[str, float]] = [{} for _ in objects]
        predicted: list[float] = []
        for step in range(self.corrections + 1):
            prompts = [click_prompt(some, box=box) for some, box in zip(clicks, boxes, strict=True)]
            results = case.predict(prompts, self.of_three)
            for i, instance in enumerate(objects):
                scores[i][f"iou+{step}" if step else "iou"] = case.iou(instance, results.low_res[i])
                if step < self.corrections:
                    clicks[i] += correction(instance, results.low_res[i], case.embedding.letterbox, case.rng)
            predicted = predicted or results.iou.tolist()
        return [
            Row(instance.key, instance.area, scores[i], predicted[i], record(clicks[i], boxes[i], self.of_three))
            for i, instance in enumerate(objects)
        ]


def correction(instance: Instance, low_res_hw: F32, letterbox: Letterbox, rng: np.random.Generator) -> list[Click]:
    """One random click where object and logits (256, 256) differ, or none where they hardly do."""
    height, width = (-(-side // MASK_STRIDE) for side in letterbox.resized_hw)
    found = low_res_hw[:height, :width] > 0
    true = sampled(instance.mask, letterbox)
    wrong = found != true
    if instance.ignore is not None:
        wrong &= ~sampled(instance.ignore, letterbox)
    if np.count_nonzero(wrong) < FEWEST_ERRORS:
        return []
    x, y = random_pixel(wrong, rng)
    at = letterbox.to_image(np.array([x, y]) * MASK_STRIDE)  # the cell's corner, as EdgeSAM does
    return [(float(at[0]), float(at[1]), int(true[int(y), int(x)]))]


def sampled(mask: Bool, letterbox: Letterbox) -> Bool:
    """A mask (H, W) at the centres of the low-resolution cells that the photo covers."""
    height, width = letterbox.image_hw
    rows, columns = (-(-side // MASK_STRIDE) for side in letterbox.resized_hw)
    y = (np.arange(rows) + 0.5) * MASK_STRIDE * height / letterbox.resized_hw[0]
    x = (np.arange(columns) + 0.5) * MASK_STRIDE * width / letterbox.resized_hw[1]
    return mask[np.ix_(np.minimum(y.astype(int), height - 1), np.minimum(x.astype(int), width - 1))]


def from_box(instance: Instance, rng: np.random.Generator) -> tuple[list[Click], F32 | None]:
    """The annotation's box, as it is."""
    del rng
    return [], instance.box


def prompts_of(objects: Sequence[Instance], start: Start, rng: np.random.Generator) -> list[Prompt]:
    """The first prompts of objects."""
    return [click_prompt(clicks, box=box) for clicks, box in (start(instance, rng) for instance in objects)]
