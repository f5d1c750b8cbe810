"""J. Object proposals: mask AR@1000 (SAM appendix D.3), and AR@100 and AR@10 as MobileSAMv2 counts them.

Everything mode without crops and without its two filters, a grid of 64 x 64 points, box NMS at 0.9; of more than 1000
masks the best by the mean of predicted IoU and stability. Class-agnostic recall over IoU 0.50:0.05:0.95 by COCO's
matching. By size, each object keeps the match it has among all. Takes a minute a photo on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as rle

from ... import formats
from ...everything import Candidate, EverythingConfig
from ...masks import rle_encode
from ...types import HW, AnyArray
from ..datasets import Instance
from ..metrics import matched
from .base import Case, Protocol, Row

COUNTS = (10, 100, 1000)


@dataclass(frozen=True)
class Proposals(Protocol):
    """Recall of the true objects by the best 10, 100 and 1000 masks."""

    points_per_side: int = 64
    name: str = "proposals"
    title: str = "recall by unfiltered masks of a 64 x 64 grid, AR@1000 (SAM)"

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        config = EverythingConfig(
            points_per_side=self.points_per_side,
            pred_iou_thresh=-1.0,
            stability_score_thresh=-1.0,
            box_nms_thresh=0.9,
            quality="exact",
        )
        masks = case.everything(config)
        ranked = sorted(masks, key=lambda c: -(c.predicted_iou + c.stability_score))[: COUNTS[-1]]
        ious = overlaps(ranked, case.objects, case.embedding.image_hw)
        recalls = {f"AR@{count}": matched(ious[:count]).mean(axis=0) for count in COUNTS}
        return [
            Row(instance.key, instance.area, {name: float(values[i]) for name, values in recalls.items()})
            for i, instance in enumerate(case.objects)
        ]


def overlaps(masks: list[Candidate], objects: list[Instance], image_hw: HW) -> AnyArray:
    """IoU of D masks and G objects (D, G)."""
    if not masks or not objects:
        return np.zeros((len(masks), len(objects)))
    found = [formats.rle(candidate, image_hw) for candidate in masks]
    true = [rle_encode(instance.mask) for instance in objects]
    return np.asarray(rle.iou(found, true, [0] * len(true)))
