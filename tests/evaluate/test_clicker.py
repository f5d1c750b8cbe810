"""The simulated user against clicks worked out by hand, and against RITM's way of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from mobilesam.evaluate.clicker import edge_distance, farthest, next_click, random_pixel


def drawn(*rectangles: tuple[int, int, int, int], hw: tuple[int, int] = (20, 30)) -> np.ndarray:
    mask = np.zeros(hw, bool)
    for x1, y1, x2, y2 in rectangles:
        mask[y1:y2, x1:x2] = True
    return mask


NOTHING = drawn()


@pytest.mark.parametrize(
    ("true", "click"),
    [
        (drawn((5, 5, 10, 10)), (7, 7, 1)),  # the middle of an odd square
        (drawn((4, 4, 8, 8)), (5, 5, 1)),  # four middles: the first in reading order
        (drawn((2, 3, 7, 8), (15, 3, 20, 8)), (4, 5, 1)),  # two equal squares: the left one, read first
        (drawn((2, 9, 7, 14), (15, 3, 20, 8)), (17, 5, 1)),  # two equal squares: the upper one, read first
        (drawn((2, 2, 5, 5), (10, 2, 19, 11)), (14, 6, 1)),  # the larger of two
        (drawn((0, 0, 5, 20)), (2, 2, 1)),  # the picture's edge is an edge; the first of a ridge
        (np.ones((20, 30), bool), (9, 9, 1)),
    ],
)
def test_first_clicks_by_hand(true: np.ndarray, click: tuple[int, int, int]) -> None:
    assert next_click(true, NOTHING) == click


def test_the_larger_error_gets_the_click_and_equal_ones_a_negative() -> None:
    true, found = drawn((2, 2, 9, 9)), drawn((15, 2, 20, 7))
    assert next_click(true, found) == (5, 5, 1)
    assert next_click(true, drawn((15, 2, 26, 13))) == (20, 7, 0)
    assert next_click(drawn((2, 2, 7, 7)), found) == (17, 4, 0)


def test_clicked_and_ignored_pixels_are_left_out() -> None:
    true = drawn((4, 4, 8, 8))
    assert next_click(true, NOTHING, clicked=[(5, 5, 1)]) == (6, 5, 1)
    assert next_click(true, NOTHING, ignore=drawn((4, 4, 8, 6))) == (4, 6, 1)
    every = [(x, y, 1) for x in range(4, 8) for y in range(4, 8)]
    assert next_click(true, NOTHING, clicked=every) == (0, 0, 0)
    assert next_click(true, true) == (0, 0, 0)


@given(arrays(bool, (9, 13)), arrays(bool, (9, 13)), arrays(bool, (9, 13)))
def test_clicks_are_those_of_the_whole_picture_padded(true: np.ndarray, found: np.ndarray, ignore: np.ndarray) -> None:
    """RITM takes distances on the whole picture, padded by one; here only the part's own box is looked at."""
    missing, surplus = true & ~found & ~ignore, ~true & found & ~ignore
    far = [distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1].astype(np.float32) for part in (missing, surplus)]
    label = int(far[0].max() > far[1].max())
    chosen = far[1 - label]
    row, column = np.unravel_index(chosen.argmax(), chosen.shape)
    assert next_click(true, found, ignore) == (column, row, label)


@given(arrays(bool, (7, 8)).filter(np.any))
def test_points_lie_on_the_mask(mask: np.ndarray) -> None:
    x, y = farthest(mask)
    assert mask[int(y), int(x)]
    assert edge_distance(mask)[int(y), int(x)] == edge_distance(mask).max()
    column, row = random_pixel(mask, np.random.default_rng(0)).astype(int)
    assert mask[row, column]


def test_random_pixels_are_equally_likely() -> None:
    mask, rng = drawn((3, 2, 5, 4)), np.random.default_rng(0)
    drawn_points = [tuple(random_pixel(mask, rng)) for _ in range(4000)]
    counts = [drawn_points.count(point) for point in set(drawn_points)]
    assert len(counts) == 4
    assert min(counts) > 900
