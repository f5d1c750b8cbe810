"""Segmentation covering (Arbelaez et al. 2011), for label maps: how well do automatic masks cover the regions?

Each region counts with its pixels and the best IoU that any mask has with it; a photo with several annotators has one
row for each. Masks may overlap, where a segmentation may not, so this is an upper bound of what one could choose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...everything import EverythingConfig, Quality
from .base import Case, Protocol, Row
from .proposals import overlaps


@dataclass(frozen=True)
class Covering(Protocol):
    """The covering of each label map by everything mode's masks."""

    name: str = "covering"
    title: str = "covering of label maps by automatic masks (Arbelaez et al.)"
    quality: Quality = "exact"
    points_per_side: int = 32

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows: one row a label map."""
        masks = case.everything(EverythingConfig(points_per_side=self.points_per_side, quality=self.quality))
        best = overlaps(masks, case.objects, case.embedding.image_hw).max(axis=0, initial=0.0)
        found = []
        for layer in dict.fromkeys(instance.layer for instance in case.objects):
            places = [i for i, instance in enumerate(case.objects) if instance.layer == layer]
            areas = [np.count_nonzero(case.objects[i].mask) for i in places]
            found.append(Row(layer, float(sum(areas)), {"covering": float(np.average(best[places], weights=areas))}))
        return found
