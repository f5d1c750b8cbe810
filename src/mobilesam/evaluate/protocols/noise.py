"""O. Box noise: how much worse do masks become when boxes are drawn badly?

No published set has noisy boxes, so this is ours: each of the four edges moves by a share of the box's side in its
direction, drawn evenly from -p..p, for p of 5, 10 and 20 %. EdgeSAM's training jitter (Gaussian, 10 % of the side) is
the nearest relative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...types import F32
from .base import Case, Protocol, Row, box_prompt, record

PERCENTS = (0, 5, 10, 20)


@dataclass(frozen=True)
class Noise(Protocol):
    """The single mask of the true box, and of that box with each amount of noise."""

    name: str = "noise"
    title: str = "boxes with edges moved by up to 5, 10, 20 %"

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        objects = case.objects
        if not objects:
            return []
        shifts = case.rng.uniform(-1, 1, (len(objects), 4))
        scores: list[dict[str, float]] = [{} for _ in objects]
        predicted: list[float] = []
        for percent in PERCENTS:
            boxes = [
                noisy(instance.box, shift * percent / 100) for instance, shift in zip(objects, shifts, strict=True)
            ]
            results = case.predict([box_prompt(box) for box in boxes])
            for i, instance in enumerate(objects):
                scores[i][f"iou@{percent}%"] = case.iou(instance, results.low_res[i])
            predicted = predicted or results.iou.tolist()
        return [
            Row(instance.key, instance.area, scores[i], predicted[i], record(box=instance.box))
            for i, instance in enumerate(objects)
        ]


def noisy(box: F32, shares: F32) -> F32:
    """A box xyxy with its edges moved by shares of its own width and height.

    >>> noisy(np.array([0, 0, 10, 20], np.float32), np.array([0.1, 0, 0, -0.1], np.float32)).tolist()
    [1.0, 0.0, 10.0, 18.0]
    """
    width, height = box[2] - box[0], box[3] - box[1]
    return np.asarray(box + shares * np.array([width, height, width, height]), np.float32)
