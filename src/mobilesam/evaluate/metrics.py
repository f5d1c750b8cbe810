"""Measures of masks (H, W) against true ones, each as its inventors define it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .. import masks
from ..types import AnyArray, Bool

SMALL, MEDIUM = 32**2, 96**2
"""COCO's sizes: below the first an object is small, below the second medium."""
THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's IoU thresholds."""


def size_of(area: float) -> str:
    """COCO's size of an object: "S", "M" or "L".

    >>> size_of(1023), size_of(1024), size_of(9216)
    ('S', 'M', 'L')
    """
    return "S" if area < SMALL else "M" if area < MEDIUM else "L"


def iou(first: Bool, second: Bool, ignore: Bool | None = None) -> float:
    """Intersection over union of two masks of one shape where `ignore` is not set; 1 where both are empty there.

    >>> iou(np.array([[True, True]]), np.array([[True, False]]), np.array([[False, True]]))
    1.0
    """
    if ignore is None:
        return masks.iou(first, second)
    return masks.iou(first & ~ignore, second & ~ignore)


def boundary(mask: Bool, ratio: float = 0.02) -> Bool:
    """The mask's pixels nearer to its outside, or to the picture's edge, than `ratio` of the diagonal.

    Cheng et al. 2021, mask_to_boundary of their boundary-iou-api: the mask less its erosion by a 3x3 kernel,
    round(ratio * diagonal) times but at least once.

    >>> boundary(np.ones((5, 5), bool)).sum()
    np.int64(16)
    """
    height, width = mask.shape
    distance = max(1, round(ratio * float(np.hypot(height, width))))
    # d erosions by 3x3 are one by a square of 2d+1: a row and a column, each quick.
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    side = 2 * distance + 1
    eroded = cv2.erode(padded, np.ones((side, 1), np.uint8))
    eroded = cv2.erode(eroded, np.ones((1, side), np.uint8))
    return np.asarray(mask & ~eroded[1:-1, 1:-1].astype(bool))


def boundary_iou(first: Bool, second: Bool, ignore: Bool | None = None, ratio: float = 0.02) -> float:
    """IoU of the two masks' boundaries (Cheng et al. 2021); 1 where both are empty."""
    return iou(boundary(first, ratio), boundary(second, ratio), ignore)


def covering(regions: Sequence[Bool], found: Sequence[Bool]) -> float:
    """How well the best-fitting masks cover the regions, each weighted by its pixels (Arbelaez et al. 2011).

    >>> covering([np.array([[True, False]]), np.array([[False, True]])], [np.array([[True, True]])])
    0.5
    """
    areas = [int(np.count_nonzero(region)) for region in regions]
    best = [max((masks.iou(region, mask) for mask in found), default=0.0) for region in regions]
    return float(np.average(best, weights=areas)) if sum(areas) else 1.0


def matched(ious_dg: AnyArray, thresholds: AnyArray = THRESHOLDS) -> Bool:
    """Which of G objects are found at each threshold (T, G), by COCO's matching.

    `ious_dg` (D, G) has the masks in order of their scores, the best first; each takes, of the objects left, the one
    with the highest IoU of at least the threshold, the last of equals as COCO does.
    """
    count = ious_dg.shape[1]
    found = np.zeros((len(thresholds), count), bool)
    if count == 0:
        return found
    # A mask below every threshold for every object matches nothing.
    rows = ious_dg[ious_dg.max(axis=1) >= min(thresholds[0], 1 - 1e-10)]
    for t, threshold in enumerate(thresholds):
        for row in rows:
            left = np.where(found[t], -1.0, row)
            best = count - 1 - int(left[::-1].argmax())
            if left[best] >= min(threshold, 1 - 1e-10):
                found[t, best] = True
    return found


def clicks_to(ious: Sequence[float], target: float, most: int) -> int:
    """NoC: the number of the first click with an IoU of at least `target`; `most` where there is none.

    >>> clicks_to([0.5, 0.91, 0.8], 0.9, 20), clicks_to([0.5], 0.9, 20)
    (2, 20)
    """
    return next((n for n, value in enumerate(ious, start=1) if value >= target), most)
