"""Of masks that say the same only one stays; overlaps are given away, or explained by parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..types import AnyArray, Int
from .candidate import Candidate, meet, shared
from .config import Overlap

SAME = 0.8
"""Masks with a higher IoU are one object."""
INSIDE = 0.9
"""A mask that lies in a larger one by this share is its child."""


def best_boxes(boxes_n4: AnyArray, scores_n: AnyArray, threshold: float) -> Int:
    """Greedy non-maximum suppression: numbers of the boxes that stay, the best score first, ties in order.

    Boxes are xyxy with inclusive ends, and their areas are counted as Meta counts them.

    >>> best_boxes(np.array([[0, 0, 9, 9], [0, 0, 9, 8], [5, 5, 9, 9]]), np.array([1, 2, 0]), 0.7).tolist()
    [1, 2]
    """
    x1, y1, x2, y2 = boxes_n4.T
    areas = (x2 - x1) * (y2 - y1)
    order = np.argsort(-scores_n, kind="stable")
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.clip(np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]), 0, None)
        height = np.clip(np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]), 0, None)
        both = width * height
        order = rest[both <= threshold * (areas[best] + areas[rest] - both)]
    return np.array(kept, int)


def without_duplicates(found: list[Candidate], scores: Sequence[float], threshold: float) -> list[Candidate]:
    """The candidates that `best_boxes` keeps."""
    boxes = np.array([c.box for c in found], np.float64).reshape(-1, 4)
    return [found[i] for i in best_boxes(boxes, np.array(scores, np.float64), threshold)]


def resolve(found: list[Candidate], overlap: Overlap) -> list[Candidate]:
    """Candidates, best first, by what was asked for of overlaps."""
    if overlap == "all":
        return found
    distinct = _distinct(found)
    return _disjoint(distinct) if overlap == "disjoint" else _with_parents(distinct)


def _distinct(found: list[Candidate]) -> list[Candidate]:
    """Without masks (not only boxes) that nearly equal a better one."""
    kept: list[Candidate] = []
    for candidate in found:
        if not any(_are_one(candidate, better) for better in kept):
            kept.append(candidate)
    return kept


def _are_one(first: Candidate, second: Candidate) -> bool:
    smaller, larger = sorted((first.area, second.area))
    return smaller > SAME * larger and iou(first, second) > SAME  # pixels are counted only where sizes allow it


def iou(first: Candidate, second: Candidate) -> float:
    """Intersection over union of two masks."""
    both = first.overlap(second)
    return both / (first.area + second.area - both)


def _disjoint(found: list[Candidate]) -> list[Candidate]:
    """Each pixel goes to the smallest mask that has it; masks left with nothing go. Order is kept."""
    left: dict[int, Candidate] = {}
    for i in sorted(range(len(found)), key=lambda i: found[i].area):
        pixels = found[i].inside
        for smaller in left.values():
            if meet(found[i].window, smaller.window):
                part = shared(found[i].window, smaller.window)
                x, y = found[i].window[:2]
                pixels[part[1] - y : part[3] - y, part[0] - x : part[2] - x] &= ~smaller.within(part)
        rest = found[i].covering(pixels, found[i].window[:2])
        if rest:
            left[i] = rest
    return [left[i] for i in sorted(left)]


def _with_parents(found: list[Candidate]) -> list[Candidate]:
    """Each mask with the number of the smallest larger mask in which it lies."""
    by_size = sorted(range(len(found)), key=lambda i: found[i].area)
    parents: dict[int, int] = {}
    for place, i in enumerate(by_size):
        for j in by_size[place + 1 :]:
            if found[j].area > found[i].area and found[i].overlap(found[j]) >= INSIDE * found[i].area:
                parents[i] = j
                break
    return [replace(candidate, parent=parents.get(i)) for i, candidate in enumerate(found)]
