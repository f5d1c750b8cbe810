"""K. Everything-mode mIoU (TinySAM, table 2): the best IoU that any automatic mask has with each true object.

Meta's defaults, a grid of 32 x 32, every click decoded; "everything-fast" is our first look (docs/everything.md). How
the paper pairs masks with objects it doesn't say; the best for each object is the natural reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...everything import EverythingConfig, Quality
from .base import Case, Protocol, Row
from .proposals import overlaps


@dataclass(frozen=True)
class Everything(Protocol):
    """The best IoU of each object, and how many masks were found on its photo."""

    name: str = "everything"
    title: str = "best automatic mask of each object (TinySAM)"
    quality: Quality = "exact"
    points_per_side: int = 32

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        masks = case.everything(EverythingConfig(points_per_side=self.points_per_side, quality=self.quality))
        best = overlaps(masks, case.objects, case.embedding.image_hw).max(axis=0, initial=0.0)
        return [
            Row(instance.key, instance.area, {"iou": float(value)})
            for instance, value in zip(case.objects, best, strict=True)
        ]
