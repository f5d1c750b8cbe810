from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mobilesam.everything import Candidate

HW = (20, 30)


@given(st.integers(0, 2**32), st.integers(0, 19), st.integers(0, 14))
def test_pixels_come_back_wherever_they_are_asked_for(seed: int, x: int, y: int) -> None:
    random = np.random.default_rng(seed)
    inside = random.random((random.integers(1, 6), random.integers(1, 11))) < 0.4
    full = np.zeros(HW, bool)
    full[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, 1.0, 1.0, (0.0, 0.0), (0, 0, 30, 20))
    made = empty.covering(inside, (x, y))
    if made is None:
        assert not inside.any()
        return
    np.testing.assert_array_equal(made.mask(HW), full)
    assert made.area == full.sum()
    for part in ((0, 0, 30, 20), (3, 4, 9, 20), (25, 0, 30, 2), made.window):
        x1, y1, x2, y2 = part
        np.testing.assert_array_equal(made.within(part), full[y1:y2, x1:x2])
    assert full[made.box[1] : made.box[3] + 1, made.box[0] : made.box[2] + 1].sum() == made.area


def test_overlaps_are_counted_in_bands(monkeypatch) -> None:
    random = np.random.default_rng(0)
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, 1.0, 1.0, (0.0, 0.0), (0, 0, 30, 20))
    first, second = (empty.covering(random.random((12, 13)) < 0.5, corner) for corner in ((0, 0), (5, 3)))
    expected = (first.mask(HW) & second.mask(HW)).sum()
    for band in (1, 20, 4_000_000):
        monkeypatch.setattr("mobilesam.everything.candidate.BAND", band)
        assert first.overlap(second) == second.overlap(first) == expected


def test_moved_into_the_image() -> None:
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, 1.0, 1.0, (2.0, 1.0), (0, 0, 5, 5))
    moved = empty.covering(np.ones((2, 3), bool), (1, 1)).moved((10, 5, 15, 10))
    assert (moved.window, moved.point, moved.crop) == ((11, 6, 14, 8), (12.0, 6.0), (10, 5, 15, 10))
