"""Measures: known values, the reference implementations' figures, what always holds."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from conftest import GOLDEN
from mobilesam.evaluate import bootstrap, metrics
from mobilesam.masks import rle_decode

DATA = Path(__file__).parent / "data"
masks = arrays(bool, (9, 12))


@given(masks, masks)
def test_iou_is_symmetric_and_one_only_for_equals(a: np.ndarray, b: np.ndarray) -> None:
    assert metrics.iou(a, b) == metrics.iou(b, a)
    assert 0 <= metrics.iou(a, b) <= 1
    assert (metrics.iou(a, b) == 1) == bool((a == b).all())
    assert metrics.boundary_iou(a, b) == metrics.boundary_iou(b, a)


@given(masks, masks, masks)
def test_ignored_pixels_change_nothing(a: np.ndarray, b: np.ndarray, ignore: np.ndarray) -> None:
    assert metrics.iou(a, b, ignore) == metrics.iou(a ^ ignore, b, ignore) == metrics.iou(a, b | ignore, ignore)


def test_iou_counts_by_hand() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:, :2], b[:, 1:3] = True, True
    ignore = np.zeros((4, 4), bool)
    ignore[:, 0] = True
    assert metrics.iou(a, b) == pytest.approx(4 / 12)
    assert metrics.iou(a, b, ignore) == pytest.approx(4 / 8)
    assert metrics.iou(a, b, np.ones((4, 4), bool)) == 1.0


def run_lengths(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict) and {"size", "counts"} <= set(value):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for part in parts for found in run_lengths(part)]


@pytest.mark.parametrize("name", ["coffee", "astronaut", "chelsea", "rocket"])
def test_boundary_iou_is_the_reference_implementations(name: str) -> None:
    expected = json.loads((DATA / "boundary.json").read_text())[name]
    found = [rle_decode(r) for r in run_lengths(json.loads((GOLDEN / f"{name}.json").read_text()))[:6]]
    assert [int(metrics.boundary(mask).sum()) for mask in found] == expected["pixels"]
    ious = [metrics.boundary_iou(a, b) for a, b in pairwise(found)]
    assert ious == pytest.approx(expected["iou"], abs=1e-12)


@given(arrays(bool, (14, 17)), st.sampled_from([0.02, 0.07, 0.15]))
def test_boundary_is_what_repeated_erosion_removes(mask: np.ndarray, ratio: float) -> None:
    times = max(1, round(ratio * np.hypot(14, 17)))
    padded = np.pad(mask.astype(np.uint8), 1)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=times)[1:-1, 1:-1]
    np.testing.assert_array_equal(metrics.boundary(mask, ratio), mask & (eroded == 0))


def test_covering_weighs_regions_by_their_pixels() -> None:
    left, right = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    left[:, :3], right[:, 3:] = True, True
    assert metrics.covering([left, right], [left]) == pytest.approx(0.75)
    assert metrics.covering([left, right], [left, right]) == 1.0
    assert metrics.covering([left], []) == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_target_never_takes_fewer_clicks(ious: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 1 <= metrics.clicks_to(ious, low, 20) <= metrics.clicks_to(ious, high, 20) <= 20


@given(
    st.integers(1, 12).flatmap(
        lambda d: st.integers(1, 8).flatmap(
            lambda g: arrays(float, (d, g), elements=st.sampled_from([0, 0.3, 0.5, 0.55, 0.7, 0.72, 0.95, 1]))
        )
    )
)
def test_recall_is_pycocotools_ties_included(ious: np.ndarray) -> None:
    evaluation = coco_of(ious)
    evaluation.evaluate()
    evaluation.accumulate()
    recall = evaluation.eval["recall"][:, 0, 0, 0]
    np.testing.assert_allclose(metrics.matched(ious).mean(axis=1), recall)


def coco_of(ious: np.ndarray) -> COCOeval:
    """COCOeval on IoUs that are given rather than computed."""
    count_d, count_g = ious.shape
    dot = rle.encode(np.asfortranarray(np.ones((4, 4), np.uint8)))
    known = COCO()
    known.dataset = {
        "images": [{"id": 1, "height": 4, "width": 4}],
        "categories": [{"id": 1}],
        "annotations": [
            {
                "id": i + 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": dot,
                "area": 16,
                "iscrowd": 0,
                "bbox": [0, 0, 4, 4],
            }
            for i in range(count_g)
        ],
    }
    known.createIndex()
    items = [{"image_id": 1, "category_id": 1, "segmentation": dict(dot), "score": -i} for i in range(count_d)]
    evaluation = COCOeval(known, known.loadRes(items), "segm")
    evaluation.params.maxDets = [1000]
    evaluation.computeIoU = lambda *_: ious
    return evaluation


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_interval_holds_the_mean_within_the_values(pairs: list[tuple[float, int]]) -> None:
    values, groups = [v for v, _ in pairs], [str(g) for _, g in pairs]
    low, high = bootstrap.mean_interval(values, groups)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    if len(set(groups)) == 1:
        assert low == high == pytest.approx(np.mean(values))


def test_the_interval_is_as_wide_as_theory_says_and_wider_for_alike_objects() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.1, 400)
    low, high = bootstrap.mean_interval(values.tolist(), [str(i) for i in range(400)])
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    alike = np.repeat(values[:40], 10)
    own = bootstrap.mean_interval(alike.tolist(), [str(i) for i in range(400)])
    by_video = bootstrap.mean_interval(alike.tolist(), [str(i // 10) for i in range(400)])
    assert by_video[1] - by_video[0] > 2 * (own[1] - own[0])
    assert bootstrap.mean_interval(alike.tolist(), ["a"] * 400, seed=1) == bootstrap.mean_interval(
        alike.tolist(), ["a"] * 400
    )
