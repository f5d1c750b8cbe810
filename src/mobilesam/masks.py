"""Binary masks (H, W): boxes, areas, overlap, COCO run lengths, exact polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .types import F32, HW, AnyArray, Bool


def box_of(mask: Bool) -> F32:
    """The mask's box (4,) as xyxy pixel edges: x2 and y2 are exclusive. Zeros where it is empty.

    >>> box_of(np.ones((4, 6), bool)).tolist()
    [0.0, 0.0, 6.0, 4.0]
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4, np.float32)
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float32)


def boxes_of(masks_nhw: Bool) -> F32:
    """Boxes (N, 4) of masks (N, H, W); see `box_of`."""
    return np.array([box_of(mask) for mask in masks_nhw], np.float32).reshape(-1, 4)


def iou(first: Bool, second: Bool) -> float:
    """Intersection over union of two masks of one shape; 1 where both are empty.

    >>> iou(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 1.0


def stability_score(logits_hw: F32, offset: float = 1.0) -> float:
    """How much of a mask stays when the threshold of its logits rises from -offset to offset: 0..1 (SAM, appendix B).

    >>> stability_score(np.array([[-2, -0.5, 0.5, 2]], np.float32))
    0.3333333333333333
    """
    low = int(np.count_nonzero(logits_hw > -offset))
    return int(np.count_nonzero(logits_hw > offset)) / low if low else 0.0


def rle_encode(mask: Bool) -> dict[str, Any]:
    """COCO's compressed run lengths: {"size": [H, W], "counts": str}.

    >>> rle_encode(np.zeros((2, 3), bool))
    {'size': [2, 3], 'counts': '6'}
    """
    from pycocotools import mask as coco

    encoded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def rle_counts(inside: Bool, corner: tuple[int, int], hw: HW) -> list[int]:
    """COCO's plain run lengths of a mask of size `hw` that is set only in a window at `corner` (x, y).

    The full-size mask is never made. The first run is of zeros.

    >>> rle_counts(np.array([[True], [True]]), (1, 0), (2, 3))
    [2, 2, 2]
    """
    (x, y), (height, width) = corner, hw
    # A run starts and ends inside its column; positions count down the columns of the whole mask.
    edges = np.diff(np.pad(inside.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    columns, rows = np.nonzero(edges)
    positions = (x + columns) * height + y + rows
    starts, ends = positions[0::2], positions[1::2]
    apart = starts[1:] != ends[:-1]  # a run down to a column's end goes on at the top of the next
    runs = np.stack([starts[np.r_[True, apart][: len(starts)]], ends[np.r_[apart, True][: len(ends)]]], axis=1)
    counts = np.diff(np.concatenate([[0], runs.reshape(-1), [height * width]])).tolist()
    return [int(count) for count in (counts[:-1] if counts[-1] == 0 else counts)]


def rle_compress(counts: Sequence[int], hw: HW) -> dict[str, Any]:
    """COCO's compressed run lengths of plain ones.

    >>> rle_compress([2, 2, 2], (2, 3)) == rle_encode(np.array([[False, True, False]] * 2))
    True
    """
    from pycocotools import mask as coco

    encoded = coco.frPyObjects({"size": list(hw), "counts": list(counts)}, *hw)
    return {"size": list(hw), "counts": encoded["counts"].decode("ascii")}


def rle_decode(rle: Mapping[str, Any]) -> Bool:
    """The mask (H, W) of COCO run lengths, compressed (str or bytes) or plain (a list of counts).

    >>> rle_decode({"size": [1, 4], "counts": [1, 2, 1]}).tolist()
    [[False, True, True, False]]
    """
    from pycocotools import mask as coco

    height, width = rle["size"]
    counts = rle["counts"]
    if isinstance(counts, (list, tuple)):
        encoded = coco.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)
    else:
        encoded = {"size": [height, width], "counts": counts.encode() if isinstance(counts, str) else counts}
    return np.asarray(coco.decode(encoded), bool)


@dataclass(frozen=True, eq=False)
class Polygon:
    """One region: its outline (K, 2) and its holes, x and y along pixel edges, each closed implicitly."""

    exterior: F32
    holes: tuple[F32, ...] = ()


def polygons_of(mask: Bool, *, tolerance: float = 0.0) -> list[Polygon]:
    """The mask's regions as polygons along the edges of its pixels, in no particular order.

    With `tolerance` 0 they describe the mask exactly (`rasterize` gives it back); otherwise outlines are
    simplified and stay within that many pixels (Douglas-Peucker).

    >>> [p.exterior.tolist() for p in polygons_of(np.ones((1, 2), bool))]
    [[[0.0, 0.0], [0.0, 1.0], [2.0, 1.0], [2.0, 0.0]]]
    """
    x1, y1, x2, y2 = box_of(mask).astype(int)
    if x2 == x1:
        return []
    # OpenCV's contours run through pixel centres. Doubled, each pixel has a left and a right half, and
    # rounding the halves' numbers up gives the edge that the contour follows, inside and out.
    doubled = np.repeat(np.repeat(mask[y1:y2, x1:x2].astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if hierarchy is None:
        return []
    offset = np.array([x1, y1], np.float32)
    outlines = [_outline(c, tolerance) + offset for c in contours]
    parents = hierarchy.reshape(-1, 4)[:, 3].tolist()
    holes: dict[int, list[F32]] = {i: [] for i, parent in enumerate(parents) if parent < 0 and len(outlines[i]) >= 3}
    for outline, parent in zip(outlines, parents, strict=True):
        if parent in holes and len(outline) >= 3:
            holes[parent].append(outline)
    return [Polygon(outlines[i], tuple(inner)) for i, inner in holes.items()]


def _outline(contour: AnyArray, tolerance: float) -> F32:
    edges = (contour.reshape(-1, 2) + 1) // 2
    if tolerance > 0:
        edges = cv2.approxPolyDP(edges.astype(np.int32), tolerance, closed=True).reshape(-1, 2)
    moved = (edges != np.roll(edges, 1, axis=0)).any(axis=1)
    return np.asarray(edges[moved], np.float32)


def rasterize(polygons: Sequence[Polygon], hw: HW) -> Bool:
    """The mask (H, W) of the pixels whose centres lie inside an odd number of outlines.

    >>> rasterize([Polygon(np.array([[0, 0], [2, 0], [2, 1], [0, 1]], np.float32))], (2, 3)).tolist()
    [[True, True, False], [False, False, False]]
    """
    height, width = hw
    crossings = np.zeros((height, width + 1), np.int32)
    for ring in (ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes)):
        start, end = np.asarray(ring, np.float64), np.roll(np.asarray(ring, np.float64), -1, axis=0)
        low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
        first = np.clip(np.ceil(low - 0.5), 0, height).astype(int)
        count = np.clip(np.ceil(high - 0.5), 0, height).astype(int) - first  # rows whose centres the edge passes
        edge = np.repeat(np.arange(len(start)), count)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        (xa, ya), (xb, yb) = start[edge].T, end[edge].T
        x = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya)
        np.add.at(crossings, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)), 1)
    return np.asarray(np.cumsum(crossings, axis=1)[:, :width] % 2 == 1)


def one_ring(rings: Sequence[F32]) -> F32:
    """Outlines and holes as one closed line (K, 2), for formats that know no holes and no second region.

    Each ring is entered and left over the same straight bridge, which encloses nothing. Rings that turn
    against each other, as `polygons_of` gives outlines and holes, keep their holes under both fill rules.

    >>> one_ring([np.array([[0, 0], [0, 1], [1, 1]]), np.array([[2, 2], [2, 3], [3, 3]])]).tolist()
    [[0, 0], [0, 1], [1, 1], [2, 2], [2, 3], [3, 3], [2, 2], [1, 1]]
    """
    ring = rings[0]
    for other in rings[1:]:
        # The nearest pair among at most 200 points of each: bridges needn't be the shortest, only short.
        steps = [-(-len(points) // 200) for points in (ring, other)]
        near, far = ring[:: steps[0]].astype(np.float64), other[:: steps[1]].astype(np.float64)
        place = int(((near[:, None] - far[None]) ** 2).sum(axis=-1).argmin())
        i, j = place // len(far) * steps[0], place % len(far) * steps[1]
        ring = np.concatenate([ring[: i + 1], other[j:], other[: j + 1], ring[i:]])
    return ring


def coco_polygons(polygons: Sequence[Polygon]) -> list[list[float]]:
    """COCO's form: each region as [x, y, x, y, ...], its holes joined to the outline by bridges.

    >>> coco_polygons(polygons_of(np.ones((1, 1), bool)))
    [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]]
    """
    return [one_ring([polygon.exterior, *polygon.holes]).reshape(-1).tolist() for polygon in polygons]
