from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from mobilesam.masks import (
    Polygon,
    box_of,
    boxes_of,
    coco_polygons,
    iou,
    one_ring,
    polygons_of,
    rasterize,
    rle_compress,
    rle_counts,
    rle_decode,
    rle_encode,
)

masks = hnp.arrays(bool, st.tuples(st.integers(1, 16), st.integers(1, 16)))
RING = np.ones((7, 7), bool)
RING[1:6, 1:6] = False
RING[3, 3] = True  # an island in the hole


@given(masks)
@example(np.zeros((3, 4), bool))
@example(np.ones((3, 4), bool))
@example(np.ones((1, 1), bool))
@example(np.eye(5, dtype=bool))
@example(RING)
@example(np.array([[True, False, True]]))
def test_polygons_describe_a_mask_exactly(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(rasterize(polygons_of(mask), mask.shape), mask)


@given(masks)
def test_rle_there_and_back_and_as_pycocotools_writes_it(mask: np.ndarray) -> None:
    rle = rle_encode(mask)
    np.testing.assert_array_equal(rle_decode(rle), mask)
    assert rle["counts"].encode() == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert rle["size"] == list(mask.shape)


@given(masks)
def test_boxes_hug_the_mask(mask: np.ndarray) -> None:
    x1, y1, x2, y2 = box_of(mask).astype(int)
    assert mask[y1:y2, x1:x2].sum() == mask.sum()
    if mask.any():
        for edge in (mask[y1, x1:x2], mask[y2 - 1, x1:x2], mask[y1:y2, x1], mask[y1:y2, x2 - 1]):
            assert edge.any()


def test_a_ring_with_an_island() -> None:
    polygons = sorted(polygons_of(RING), key=lambda p: -len(p.holes))
    assert polygons[0].exterior.tolist() == [[0, 0], [0, 7], [7, 7], [7, 0]]
    assert sorted(polygons[0].holes[0].tolist()) == sorted([[1, 1], [1, 6], [6, 6], [6, 1]])
    assert polygons[1].exterior.tolist() == [[3, 3], [3, 4], [4, 4], [4, 3]]
    assert coco_polygons(polygons)[1] == [3, 3, 3, 4, 4, 4, 4, 3]


def test_boxes_of_masks() -> None:
    stack = np.zeros((2, 4, 6), bool)
    stack[0, 1:3, 2:5] = True
    assert boxes_of(stack).tolist() == [[2, 1, 5, 3], [0, 0, 0, 0]]
    assert boxes_of(stack[:0]).shape == (0, 4)


def test_tolerance_thins_the_outline_and_keeps_the_shape() -> None:
    y, x = np.mgrid[:200, :300]
    disc = (x - 150) ** 2 + (y - 100) ** 2 < 80**2
    exact, thin = polygons_of(disc), polygons_of(disc, tolerance=1.0)
    assert len(thin[0].exterior) < len(exact[0].exterior) / 5
    assert iou(rasterize(thin, disc.shape), disc) > 0.97


def test_a_slanted_polygon_by_pixel_centres() -> None:
    triangle = Polygon(np.array([[0, 0], [4, 0], [0, 4]], np.float32))
    assert rasterize([triangle], (4, 4)).astype(int).tolist() == [
        [1, 1, 1, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [0] * 4,
    ]


def test_outlines_beyond_the_picture_are_clipped() -> None:
    wide = Polygon(np.array([[-5, -5], [50, -5], [50, 2], [-5, 2]], np.float32))
    assert rasterize([wide], (3, 4)).astype(int).tolist() == [[1] * 4, [1] * 4, [0] * 4]


def test_rle_in_its_three_forms() -> None:
    mask = np.array([[0, 1, 1], [0, 0, 1]], bool)
    compressed = rle_encode(mask)
    for counts in (compressed["counts"], compressed["counts"].encode(), [2, 1, 1, 2]):
        np.testing.assert_array_equal(rle_decode({"size": [2, 3], "counts": counts}), mask)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 1, 0, 0], [0, 1, 1, 0], 1 / 3),
        ([1, 0, 0, 0], [0, 1, 0, 0], 0),
        ([0] * 4, [0] * 4, 1),
        ([1] * 4, [1] * 4, 1),
    ],
)
def test_iou_by_hand(first: list[int], second: list[int], expected: float) -> None:
    assert iou(np.array([first], bool), np.array([second], bool)) == pytest.approx(expected)


@given(masks, st.integers(0, 3), st.integers(0, 3))
def test_run_lengths_of_a_window_are_those_of_the_whole_mask(inside, x, y) -> None:
    whole = np.zeros((y + inside.shape[0] + 1, x + inside.shape[1] + 1), bool)
    whole[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    for mask, corner, pixels in ((whole, (x, y), inside), (inside, (0, 0), inside)):
        counts = rle_counts(pixels, corner, mask.shape)
        np.testing.assert_array_equal(rle_decode({"size": mask.shape, "counts": counts}), mask)
        assert sum(counts) == mask.size
        assert all(counts[1:])
        assert rle_compress(counts, mask.shape) == rle_encode(mask)


@given(masks)
@example(RING)
def test_one_ring_encloses_what_all_rings_do(mask) -> None:
    rings = [ring for p in polygons_of(mask) for ring in (p.exterior, *p.holes)]
    if rings:
        np.testing.assert_array_equal(rasterize([Polygon(one_ring(rings))], mask.shape), mask)


def test_many_regions_take_no_squared_time() -> None:
    """A chessboard: 20,000 regions; each parent is looked at once."""
    mask = np.indices((200, 200)).sum(axis=0) % 2 == 0
    polygons = polygons_of(mask)
    np.testing.assert_array_equal(rasterize(polygons, mask.shape), mask)
