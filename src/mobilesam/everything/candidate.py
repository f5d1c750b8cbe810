"""One mask on its way: where it lies, its pixels, what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..grids import Crop
from ..types import HW, U8, Bool

EDGE_TOLERANCE = 20.0
"""A box nearer than this to a crop's inner edge is the cut part of an object (Meta's value)."""
BAND = 4_000_000
"""Pixels that are compared at once."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask inside a window of the image, eight pixels a byte, so that thousands fit into memory."""

    window: Crop
    """The mask's own box: x1, y1, x2, y2 in the image's pixels, the last two exclusive."""
    bits: U8
    """The window's pixels as `numpy.packbits` packs them along each row: (h, w / 8)."""
    area: int
    """Pixels of the mask."""
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    """The click that found it."""
    crop: Crop
    """The part of the image that the model saw."""
    parent: int | None = None
    """With overlap="hierarchy": the number of the smallest mask that holds this one."""

    @classmethod
    def empty(
        cls,
        crop: Crop,
        predicted_iou: float = 1.0,
        stability_score: float = 1.0,
        point: tuple[float, float] = (0.0, 0.0),
    ) -> Candidate:
        """A mask without pixels, which `covering` gives some."""
        return cls((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, predicted_iou, stability_score, point, crop)

    @property
    def inside(self) -> Bool:
        """The window's pixels (h, w)."""
        return self._part(self.window)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """xyxy with inclusive ends, as Meta counts."""
        x1, y1, x2, y2 = self.window
        return x1, y1, x2 - 1, y2 - 1

    def mask(self, image_hw: HW) -> Bool:
        """The full-size mask (H, W)."""
        full = np.zeros(image_hw, bool)
        x1, y1, x2, y2 = self.window
        full[y1:y2, x1:x2] = self.inside
        return full

    def within(self, part: Crop) -> Bool:
        """The mask's pixels in a part of the image: (y2 - y1, x2 - x1)."""
        x1, y1, x2, y2 = part
        pixels = np.zeros((y2 - y1, x2 - x1), bool)
        if meet(self.window, part):
            left, top, right, bottom = common = shared(self.window, part)
            pixels[top - y1 : bottom - y1, left - x1 : right - x1] = self._part(common)
        return pixels

    def overlap(self, other: Candidate) -> int:
        """Pixels that both masks have, counted band by band: of two masks of a large picture no whole copy is made."""
        if not meet(self.window, other.window):
            return 0
        left, top, right, bottom = shared(self.window, other.window)
        step = max(1, BAND // (right - left))
        bands = ((left, y, right, min(y + step, bottom)) for y in range(top, bottom, step))
        return sum(int(np.count_nonzero(self._part(band) & other._part(band))) for band in bands)

    def _part(self, part: Crop) -> Bool:
        """The pixels of a part of the window."""
        x, y, x2, _ = self.window
        rows = np.unpackbits(self.bits[part[1] - y : part[3] - y], axis=1, count=x2 - x)
        return rows[:, part[0] - x : part[2] - x].view(bool)

    def covering(self, pixels: Bool, corner: tuple[int, int]) -> Candidate | None:
        """This candidate with other pixels, whose first is at `corner` (x, y); None where none is set."""
        left, top, right, bottom = extent(pixels)
        if right == 0:
            return None
        tight = pixels[top:bottom, left:right]
        x, y = corner
        window = (x + left, y + top, x + right, y + bottom)
        return replace(self, window=window, bits=np.packbits(tight, axis=1), area=int(np.count_nonzero(tight)))

    def moved(self, crop: Crop) -> Candidate:
        """From the pixels of a crop to those of the image."""
        dx, dy = crop[:2]
        x1, y1, x2, y2 = self.window
        x, y = self.point
        return replace(self, window=(x1 + dx, y1 + dy, x2 + dx, y2 + dy), point=(x + dx, y + dy), crop=crop)


def extent(pixels: Bool) -> Crop:
    """The box x1, y1, x2, y2 of what is set, the last two exclusive; zeros where nothing is."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def shared(first: Crop, second: Crop) -> Crop:
    """What two boxes that meet have in common."""
    return max(first[0], second[0]), max(first[1], second[1]), min(first[2], second[2]), min(first[3], second[3])


def meet(first: Crop, second: Crop) -> bool:
    """True where two boxes have a pixel in common."""
    x1, y1, x2, y2 = shared(first, second)
    return x1 < x2 and y1 < y2


def touches_inner_edge(box: tuple[float, ...], crop: Crop, image_hw: HW) -> bool:
    """True for a box (inclusive ends) that ends just inside an edge of a crop which is no edge of the image."""
    height, width = image_hw
    to_crop, to_image = (
        np.array([box[0] - x1, box[1] - y1, x2 - box[2], y2 - box[3]])
        for x1, y1, x2, y2 in (crop, (0, 0, width, height))
    )
    near_crop = (to_crop >= 0) & (to_crop <= EDGE_TOLERANCE)
    return bool((near_crop & (to_image > EDGE_TOLERANCE)).any())
