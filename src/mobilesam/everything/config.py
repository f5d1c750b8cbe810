"""What everything mode can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..grids import layer_grids
from ..types import AnyArray

Quality = Literal["fast", "exact"]
Overlap = Literal["all", "disjoint", "hierarchy"]
QUALITIES = ("fast", "exact")
OVERLAPS = ("all", "disjoint", "hierarchy")


@dataclass(frozen=True)
class EverythingConfig:
    """Meta's arguments, with Meta's names and defaults, and ours after them.

    Raises InputError for values that make no grid or don't exist.

    >>> len(EverythingConfig(points_per_side=16).grids[0])
    256
    """

    points_per_side: int | None = 32
    """Clicks along each side of the grid; None where `point_grids` is given."""
    points_per_batch: int = 64
    """For Meta's users; batches are as large as runs best, and the result is the same."""
    pred_iou_thresh: float = 0.88
    """Masks whose predicted IoU is not above this are dropped."""
    stability_score_thresh: float = 0.95
    """Masks less stable than this are dropped."""
    stability_score_offset: float = 1.0
    """How far the threshold is moved, up and down, to measure stability."""
    box_nms_thresh: float = 0.7
    """Of two masks of a crop whose boxes overlap more (IoU), the one with the lower score is dropped."""
    crop_n_layers: int = 0
    """Layers of crops, layer i with 2^i x 2^i of them."""
    crop_nms_thresh: float = 0.7
    """As box_nms_thresh, between crops; the mask of the smaller crop stays."""
    crop_overlap_ratio: float = 512 / 1500
    """How much crops overlap, as a share of the shorter side."""
    crop_n_points_downscale_factor: int = 1
    """How many times fewer points a side each layer has than the one before."""
    point_grids: Sequence[AnyArray] | None = None
    """Own grids, (N, 2) with x and y in 0..1, one a layer, in place of points_per_side."""
    min_mask_region_area: int = 0
    """Holes and specks of fewer pixels are removed."""

    quality: Quality = "fast"
    """"exact" decodes every click, as Meta does; "fast" only those that a first look finds promising."""
    look_slack: float = 0.65
    """How far below the thresholds a mask may be in the first look: more finds more and takes longer."""
    look_nms_thresh: float = 0.9
    """As box_nms_thresh, in the first look: of two clicks for alike boxes only one is decoded."""
    overlap: Overlap = "all"
    """"all" as Meta; "disjoint" gives each pixel to one mask; "hierarchy" adds each mask's parent."""
    max_masks: int | None = None
    """Keep only this many masks, the best."""
    tiles: int | None = None
    """For large pictures: work window by window, each of this many pixels a side (1024 is no coarser than the
    model sees), and join objects across the seams. The picture is never held as one array."""
    tile_overlap: float = 0.25
    """How much neighbouring tiles overlap at least, as a share of their side."""

    def __post_init__(self) -> None:
        for name, known in (("quality", QUALITIES), ("overlap", OVERLAPS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}.")
        if self.max_masks is not None and self.max_masks < 1:
            raise InputError(f"max_masks must be 1 or more, got {self.max_masks}.")
        if self.tiles is not None and (self.tiles < 64 or self.crop_n_layers > 0):
            raise InputError(f"tiles must be 64 or more, and goes without crop_n_layers, got {self.tiles}.")
        if not 0 <= self.tile_overlap <= 0.75:
            raise InputError(f"tile_overlap must be within 0..0.75, got {self.tile_overlap}.")
        if (self.points_per_side is None) == (self.point_grids is None):
            raise InputError("Give either points_per_side or point_grids (with points_per_side=None).")
        if self.points_per_side is not None and self.points_per_side < 1:
            raise InputError(f"points_per_side must be 1 or more, got {self.points_per_side}.")
        if self.crop_n_layers < 0:
            raise InputError(f"crop_n_layers must be 0 or more, got {self.crop_n_layers}.")
        if self.point_grids is not None and len(self.point_grids) != self.crop_n_layers + 1:
            raise InputError(f"point_grids must be crop_n_layers + 1 grids, got {len(self.point_grids)}.")

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> EverythingConfig:
        """Of the arguments that `SAM.everything` got. Raises InputError for one that doesn't exist."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in arguments if name not in known]
        if unknown:
            raise InputError(f"everything() has no argument {unknown[0]!r}; it has: {', '.join(known)}.")
        return cls(**arguments)

    @property
    def grids(self) -> Sequence[AnyArray]:
        """One grid of points a layer."""
        if self.point_grids is not None:
            return [np.asarray(grid, np.float64).reshape(-1, 2) for grid in self.point_grids]
        per_side = self.points_per_side or 1
        return layer_grids(per_side, self.crop_n_layers, self.crop_n_points_downscale_factor)
