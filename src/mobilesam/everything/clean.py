"""Small holes filled, small specks removed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..types import HW, AnyArray, Bool
from .candidate import Candidate
from .suppress import without_duplicates


def cleaned(found: list[Candidate], image_hw: HW, smallest: int, threshold: float) -> list[Candidate]:
    """Candidates without holes and specks below `smallest` pixels; of those that became alike the untouched stay."""
    clean = [_without_specks(candidate, image_hw, smallest) for candidate in found]
    return without_duplicates(clean, [float(new is old) for new, old in zip(clean, found, strict=True)], threshold)


def _without_specks(candidate: Candidate, image_hw: HW, smallest: int) -> Candidate:
    mask = candidate.mask(image_hw)
    filled = mask | _regions(~mask, lambda sizes: sizes < smallest)
    clean = filled & _regions(filled, lambda sizes: (sizes >= smallest) | (sizes == sizes.max()))
    if np.array_equal(clean, mask):
        return candidate
    return candidate.covering(clean, (0, 0)) or candidate


def _regions(mask: Bool, choose: Callable[[AnyArray], AnyArray]) -> Bool:
    """The 8-connected regions of a mask whose sizes in pixels are chosen."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return np.zeros_like(mask)
    chosen = np.concatenate([[False], choose(stats[1:, cv2.CC_STAT_AREA])])  # label 0 is the background
    return np.asarray(chosen[labels], bool)
