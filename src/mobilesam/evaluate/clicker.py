"""Where a simulated user clicks: on the pixel farthest from the edges of the largest error.

The clicker of RITM and SimpleClick (Sofiiuk et al. 2021, Liu et al. 2023; isegm/inference/clicker.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..masks import box_of
from ..types import F32, AnyArray, Bool

Click = tuple[float, float, int]
"""x, y in the photo's pixels, and the label: 1 object, 0 not this."""


def next_click(true: Bool, predicted: Bool, ignore: Bool | None = None, clicked: Sequence[Click] = ()) -> Click:
    """The next click: positive where the largest missing part is strictly larger than the largest surplus.

    How large a part is says its pixel that is farthest (L2) from pixels outside the part; the picture's edge counts
    as outside. Pixels already clicked and ignored ones are left out; of equals the first in reading order is taken.

    >>> next_click(np.ones((3, 3), bool), np.zeros((3, 3), bool))
    (1.0, 1.0, 1)
    """
    counts = np.ones(true.shape, bool) if ignore is None else ~ignore
    missing, surplus = true & ~predicted & counts, ~true & predicted & counts
    (deep, inside), (far, outside) = (_deepest(part, clicked) for part in (missing, surplus))
    return (*inside, 1) if deep > far else (*outside, 0)


def farthest(mask: Bool) -> tuple[float, float]:
    """The pixel (x, y) of a mask that is farthest from its edge, the first in reading order of equals.

    >>> farthest(np.array([[False, True, True, True]]))
    (1.0, 0.0)
    """
    return _deepest(mask, ())[1]


def _deepest(part: Bool, clicked: Sequence[Click]) -> tuple[float, tuple[float, float]]:
    """The largest distance to the part's outside, and the first pixel that has it."""
    x1, y1, x2, y2 = box_of(part).astype(int)
    if x2 == x1:
        return 0.0, (0.0, 0.0)
    distance = edge_distance(part[y1:y2, x1:x2])
    for x, y, _ in clicked:
        if x1 <= x < x2 and y1 <= y < y2:
            distance[int(y) - y1, int(x) - x1] = 0
    if not distance.any():  # all of it has been clicked
        return 0.0, (0.0, 0.0)
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[row, column]), (float(x1 + column), float(y1 + row))


def edge_distance(part: Bool) -> F32:
    """Each pixel's distance (H, W) to the nearest pixel outside the part; beyond the array is outside."""
    padded = np.pad(part.astype(np.uint8), 1)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1], np.float32)


def random_pixel(part: Bool, rng: np.random.Generator) -> AnyArray:
    """A pixel (x, y) of a part that isn't empty, each equally likely."""
    found = np.flatnonzero(part)
    row, column = divmod(int(found[rng.integers(len(found))]), part.shape[1])
    return np.array([column, row], np.float32)
