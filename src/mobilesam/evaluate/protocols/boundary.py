"""L. Boundary IoU of box prompts (Cheng et al. 2021): how good is the edge? See metrics.boundary."""

from __future__ import annotations

from dataclasses import dataclass

from ..metrics import boundary_iou, iou
from .base import Case, Protocol, Row, box_prompt, record


@dataclass(frozen=True)
class Boundary(Protocol):
    """The single mask of the true box: boundary IoU, and the smaller of it and IoU, which boundary AP counts."""

    name: str = "boundary"
    title: str = "true box, boundary IoU (Cheng et al.)"

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        if not case.objects:
            return []
        results = case.predict([box_prompt(instance.box) for instance in case.objects])
        found = []
        for i, instance in enumerate(case.objects):
            mask = case.full(results.low_res[i])
            edge = boundary_iou(instance.mask, mask, instance.ignore)
            scores = {"boundary_iou": edge, "min_iou": min(edge, iou(instance.mask, mask, instance.ignore))}
            found.append(Row(instance.key, instance.area, scores, None, record(box=instance.box)))
        return found
