from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilesam import PromptError
from mobilesam.geometry import Letterbox
from mobilesam.prompts import MASK_LOGIT, build

BOX = Letterbox((400, 600))
LOGITS = np.linspace(-9, 9, 256 * 256, dtype=np.float32).reshape(256, 256)


def shape_of(**given) -> list[tuple[list, list]]:
    return [(p.points_n2.tolist(), p.labels_n.tolist()) for p in build(BOX, **given)]


def test_one_point_is_one_object() -> None:
    assert shape_of(points=[3, 4]) == [([[3, 4]], [1])]


def test_a_list_of_points_is_one_object_each() -> None:
    assert shape_of(points=[[3, 4], [5, 6]]) == [([[3, 4]], [1]), ([[5, 6]], [1])]
    assert shape_of(points=[[3, 4], [5, 6]], labels=[1, 0]) == [([[3, 4]], [1]), ([[5, 6]], [0])]


def test_nested_lists_are_several_points_an_object() -> None:
    points = [[[3, 4], [5, 6]], [[7, 8]]]
    assert shape_of(points=points, labels=[[1, 0], [1]]) == [([[3, 4], [5, 6]], [1, 0]), ([[7, 8]], [1])]
    assert shape_of(points=[[[3, 4], [5, 6]]], labels=[1, 0]) == [([[3, 4], [5, 6]], [1, 0])]


@pytest.mark.parametrize("labels", [1, [1], [[1]], np.array([1])])
def test_a_label_in_any_nesting_fits_one_point(labels) -> None:
    assert shape_of(points=[3, 4], labels=labels) == [([[3, 4]], [1])]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64, np.uint8])
def test_arrays_count_by_their_axes(dtype) -> None:
    array = np.array([[[3, 4], [5, 6]]], dtype)
    assert shape_of(points=array) == [([[3, 4], [5, 6]], [1, 1])]
    assert shape_of(points=array[0]) == [([[3, 4]], [1]), ([[5, 6]], [1])]
    assert shape_of(points=array[0, 0]) == [([[3, 4]], [1])]


def test_points_with_a_box_belong_to_it() -> None:
    (prompt,) = build(BOX, points=[[[3, 4], [5, 6]]], bboxes=[0, 0, 300, 200])
    coords, labels = prompt.tokens(BOX)
    scale = np.array([1024 / 600, 683 / 400])
    np.testing.assert_allclose(coords, np.array([[3, 4], [5, 6], [0, 0], [300, 200]]) * scale, rtol=1e-6)
    assert labels.tolist() == [1, 1, 2, 3]


def test_points_without_a_box_get_one_padding_token() -> None:
    (prompt,) = build(BOX, points=[3, 4])
    assert prompt.tokens(BOX)[1].tolist() == [1, -1]


def test_a_mask_alone_has_no_token() -> None:
    (prompt,) = build(BOX, masks=LOGITS)
    coords, labels = prompt.tokens(BOX)
    assert coords.shape == (0, 2)
    assert labels.shape == (0,)
    np.testing.assert_array_equal(prompt.mask_hw, LOGITS)


@pytest.mark.parametrize("masks", [LOGITS, LOGITS[None], LOGITS[None, None], [LOGITS], LOGITS.astype(np.float64)])
def test_logits_in_any_nesting(masks) -> None:
    (prompt,) = build(BOX, points=[1, 1], masks=masks)
    np.testing.assert_allclose(prompt.mask_hw, LOGITS)


@pytest.mark.parametrize("high", [True, 1, 255, 1.0])
def test_a_binary_mask_becomes_logits(high) -> None:
    mask = np.zeros((400, 600), np.asarray(high).dtype)
    mask[:, 300:] = high
    (prompt,) = build(BOX, masks=mask)
    assert prompt.mask_hw.shape == (256, 256)
    assert prompt.mask_hw[50, 10] == pytest.approx(-MASK_LOGIT)
    assert prompt.mask_hw[50, 200] == pytest.approx(MASK_LOGIT)
    assert prompt.mask_hw[200, 200] == pytest.approx(-MASK_LOGIT)  # the padding isn't the object


def test_the_callers_arrays_stay_as_they_are() -> None:
    given = {
        "points": np.array([[3.0, 4.0]], np.float32),
        "labels": np.array([1], np.float32),
        "bboxes": np.array([[1, 1, 9, 9]], np.float32),
        "masks": LOGITS.copy()[None],
    }
    before = {name: value.copy() for name, value in given.items()}
    (prompt,) = build(BOX, **given)
    prompt.tokens(BOX)
    for name, value in given.items():
        np.testing.assert_array_equal(value, before[name])
        for own in (prompt.points_n2, prompt.labels_n, prompt.box, prompt.mask_hw):
            assert not np.shares_memory(own, value)


@given(st.lists(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 400)), min_size=1, max_size=4), min_size=1))
def test_no_point_is_lost_or_moved(objects) -> None:
    assert [p.points_n2.tolist() for p in build(BOX, points=objects)] == [[list(xy) for xy in o] for o in objects]


BAD = {
    "no prompt": ({}, "No prompt"),
    "labels alone": ({"labels": [1]}, "labels without points"),
    "NaN": ({"points": [np.nan, 1]}, "NaN or infinite"),
    "infinite": ({"bboxes": [0, 0, np.inf, 5]}, "NaN or infinite"),
    "right of the photo": ({"points": [601, 10]}, "outside the image of 600 x 400"),
    "above the photo": ({"points": [[5, 5], [10, -1]]}, r"\[10.0, -1.0\] lies outside"),
    "label 2": ({"points": [1, 1], "labels": [2]}, "1 .object. or 0"),
    "too many labels": ({"points": [1, 1], "labels": [1, 1]}, "as many as points"),
    "too few labels inside": (
        {"points": [[[1, 1], [2, 2]], [[3, 3]]], "labels": [[1], [1]]},
        "one for each point",
    ),
    "one coordinate": ({"points": [[1]]}, r"A point is \[x, y\]"),
    "three coordinates": ({"points": [[1, 2, 3]]}, r"A point is \[x, y\]"),
    "too deep": ({"points": [[[[1, 2]]]]}, "got 4 levels"),
    "a number": ({"points": 5}, "got 0 levels"),
    "a string": ({"points": "300,200"}, "got 0 levels"),
    "words": ({"points": ["a", "b"]}, "must be numbers"),
    "empty": ({"points": []}, "is empty"),
    "an object without points": ({"points": [[[1, 1]], []]}, "each object needs"),
    "empty array": ({"points": np.zeros((0, 2))}, "is empty"),
    "box of no width": ({"bboxes": [5, 5, 5, 9]}, "x2 > x1"),
    "box upside down": ({"bboxes": [5, 9, 6, 5]}, "y2 > y1"),
    "box outside": ({"bboxes": [700, 5, 800, 9]}, "outside the image"),
    "box of three": ({"bboxes": [1, 2, 3]}, r"x1, y1, x2, y2"),
    "no box": ({"bboxes": []}, r"x1, y1, x2, y2"),
    "ragged boxes": ({"bboxes": [[1, 2, 3, 4], [1, 2]]}, "one regular nesting"),
    "counts differ": ({"points": [[1, 1], [2, 2]], "bboxes": [0, 0, 9, 9]}, "2 in points, 1 in bboxes"),
    "mask of another shape": ({"masks": np.zeros((400, 601), bool)}, r"\(400, 600\)"),
    "mask of one axis": ({"masks": np.zeros(5)}, r"got \(5,\)"),
    "NaN in logits": ({"masks": np.full((256, 256), np.nan, np.float32)}, "NaN or infinite logits"),
    "grey mask": ({"masks": np.full((400, 600), 7, np.uint8)}, "values 0 and 1"),
    "mask of words": ({"masks": np.full((400, 600), "a")}, "values 0 and 1"),
}


@pytest.mark.parametrize(("given_", "message"), BAD.values(), ids=BAD.keys())
def test_bad_prompts_get_a_named_error(given_, message) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        build(BOX, **given_)
    assert isinstance(caught.value, ValueError)


def test_points_on_the_very_border_count_as_inside() -> None:
    assert shape_of(points=[[0, 0], [600, 400]]) == [([[0, 0]], [1]), ([[600, 400]], [1])]
