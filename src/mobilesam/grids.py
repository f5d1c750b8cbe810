"""Points and crops of everything mode, by Meta's formulas (segment_anything, utils/amg.py)."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from .types import HW, AnyArray

Crop = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels; the last two exclusive."""


def point_grid(per_side: int) -> AnyArray:
    """Centres of `per_side` x `per_side` cells as (x, y) in 0..1, row by row: (per_side^2, 2).

    >>> point_grid(2).tolist()
    [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    """
    side = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(side, side)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def layer_grids(per_side: int, layers: int, downscale: int) -> list[AnyArray]:
    """One grid a crop layer, each `downscale` times coarser a side than the one before."""
    return [point_grid(max(1, int(per_side / downscale**layer))) for layer in range(layers + 1)]


def crop_boxes(image_hw: HW, layers: int, overlap_ratio: float) -> list[tuple[Crop, int]]:
    """The whole image, then for each layer i its 2^i x 2^i overlapping crops, with their layer.

    >>> crop_boxes((100, 200), 1, 0.25)[1:3]
    [((0, 0, 113, 63), 1), ((0, 38, 113, 100), 1)]
    """
    height, width = image_hw
    boxes: list[tuple[Crop, int]] = [((0, 0, width, height), 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(image_hw) * (2 / count))
        crop_w, crop_h = (math.ceil((overlap * (count - 1) + side) / count) for side in (width, height))
        lefts = [int((crop_w - overlap) * i) for i in range(count)]
        tops = [int((crop_h - overlap) * i) for i in range(count)]
        boxes += [((x, y, min(x + crop_w, width), min(y + crop_h, height)), layer) for x, y in product(lefts, tops)]
    return boxes


def tile_boxes(image_hw: HW, side: int, overlap_ratio: float) -> list[Crop]:
    """Windows of `side` x `side` pixels that cover an image, row by row.

    Neighbours overlap by at least `overlap_ratio` of a side and are evenly spread, so none lies outside.

    >>> tile_boxes((100, 250), 100, 0.2)
    [(0, 0, 100, 100), (75, 0, 175, 100), (150, 0, 250, 100)]
    """
    step = max(1, int(side * (1 - overlap_ratio)))
    starts = []
    for length in image_hw:
        count = 1 + max(0, -(-(length - side) // step))
        starts.append([round(i * (length - side) / (count - 1)) if count > 1 else 0 for i in range(count)])
    height, width = image_hw
    return [(x, y, min(x + side, width), min(y + side, height)) for y, x in product(*starts)]
