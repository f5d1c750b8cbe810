from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilesam.everything import Candidate
from mobilesam.everything.suppress import INSIDE, SAME, best_boxes, iou, resolve

HW = (40, 50)


def masked(inside: np.ndarray, corner: tuple[int, int] = (0, 0), score: float = 0.9) -> Candidate:
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, score, 1.0, (0.0, 0.0), (0, 0, *HW[::-1]))
    return empty.covering(inside, corner)


def box(x1: int, y1: int, x2: int, y2: int) -> Candidate:
    return masked(np.ones((y2 - y1, x2 - x1), bool), (x1, y1))


@st.composite
def scenes(draw: st.DrawFn) -> list[Candidate]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(draw(st.integers(0, 8))):
        x, y = random.integers(0, 40), random.integers(0, 30)
        inside = random.random((random.integers(1, 11), random.integers(1, 11))) < random.choice([0.3, 0.9, 1])
        inside[0, 0] = True
        found.append(masked(inside, (int(x), int(y)), float(random.random())))
    return found


def test_what_two_masks_share() -> None:
    first, second = box(0, 0, 10, 10), box(5, 5, 15, 15)
    assert first.overlap(second) == second.overlap(first) == 25
    assert iou(first, second) == 25 / 175
    assert first.overlap(box(10, 0, 20, 10)) == 0


@given(scenes())
@settings(max_examples=60, deadline=None)
def test_disjoint_masks_share_no_pixel_and_lose_none(found: list[Candidate]) -> None:
    given_ = resolve(found, "disjoint")
    masks = np.array([c.mask(HW) for c in given_]).reshape(-1, *HW)
    assert masks.sum(axis=0).max(initial=0) <= 1
    kept = [c for i, c in enumerate(found) if not any(iou(c, other) > SAME for other in found[:i])]
    everywhere = np.array([c.mask(HW) for c in kept]).reshape(-1, *HW).any(axis=0)
    if len(kept) == len(resolve(found, "hierarchy")):
        np.testing.assert_array_equal(masks.any(axis=0), everywhere)
    for candidate in given_:
        assert candidate.area == candidate.mask(HW).sum() > 0


@given(scenes())
@settings(max_examples=60, deadline=None)
def test_a_child_lies_in_its_larger_parent(found: list[Candidate]) -> None:
    nested = resolve(found, "hierarchy")
    for child in nested:
        if child.parent is not None:
            parent = nested[child.parent]
            assert parent.area > child.area
            assert child.overlap(parent) >= INSIDE * child.area
    for i, candidate in enumerate(nested):
        assert not any(iou(candidate, other) > SAME for other in nested[:i])


def test_the_parent_is_the_smallest_that_holds_the_mask() -> None:
    cup, saucer, spot = box(10, 10, 20, 20), box(0, 0, 40, 35), box(12, 12, 14, 14)
    nested = resolve([saucer, cup, spot, box(45, 0, 50, 5)], "hierarchy")
    assert [c.parent for c in nested] == [None, 0, 1, None]


def test_the_smaller_mask_keeps_its_pixels() -> None:
    saucer, cup = resolve([box(0, 0, 40, 35), box(10, 10, 20, 20)], "disjoint")
    assert (saucer.area, cup.area) == (40 * 35 - 100, 100)
    assert not saucer.mask(HW)[15, 15]


def test_a_mask_with_nothing_left_goes() -> None:
    # Two halves cover the third, which is neither's near-duplicate.
    assert len(resolve([box(0, 0, 20, 10), box(0, 0, 10, 10), box(10, 0, 20, 10)], "disjoint")) == 2


def test_all_is_as_it_was() -> None:
    found = [box(0, 0, 9, 9), box(0, 0, 9, 9)]
    assert resolve(found, "all") is found


def test_no_boxes() -> None:
    assert best_boxes(np.zeros((0, 4)), np.zeros(0), 0.7).tolist() == []
