"""Simulated prompts lie where SAM's training procedure wants them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mobilesam.train.config import Prompts
from mobilesam.train.sampling import BACKGROUND, OBJECT, PADDING, Prompted, boxes, corrected, first_prompts, pick

masks = arrays(np.bool_, st.tuples(st.just(3), st.integers(1, 9), st.integers(1, 9)))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@given(masks, st.integers(0, 1000))
def test_picked_cells_are_of_their_region(region: np.ndarray, seed: int) -> None:
    cells, there = pick(torch.from_numpy(region), np.random.default_rng(seed))
    for mask, (x, y), found in zip(region, cells.tolist(), there.tolist(), strict=True):
        assert found == bool(mask.any())
        assert mask[y, x] or not found


def test_picking_is_uniform() -> None:
    region = torch.zeros(4000, 3, 3, dtype=torch.bool)
    region[:, [0, 1, 2], [2, 0, 2]] = True
    cells, _ = pick(region, rng())
    counts = torch.bincount(cells[:, 1] * 3 + cells[:, 0], minlength=9)
    assert counts[[2, 3, 8]].min() > 1200
    assert int(counts.sum() - counts[[2, 3, 8]].sum()) == 0


@given(masks)
def test_boxes_are_the_masks_own(region: np.ndarray) -> None:
    from mobilesam.masks import boxes_of

    np.testing.assert_array_equal(boxes(torch.from_numpy(region)).numpy(), boxes_of(region))


def square(side: int = 64) -> torch.Tensor:
    """One mask (1, 64, 64) of cells 16..32 by 8..40, in a model of 256 pixels: 64..128 by 32..160."""
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[:, 8:40, 16:32] = True
    return mask


def test_first_prompts_are_boxes_with_bounded_noise_or_points_inside() -> None:
    mask = square().expand(500, -1, -1)
    exact = first_prompts(mask, 256, Prompts(boxes=1.0, noise=0.0), rng())
    assert exact.coords_bn2[0].tolist() == [[64, 32], [128, 160]]
    assert exact.labels_bn[0].tolist() == [2, 3]
    noisy = first_prompts(mask, 256, Prompts(boxes=1.0, noise=0.1), rng())
    away = (noisy.coords_bn2 - exact.coords_bn2).abs()
    assert float(away.max()) <= 20 / 1024 * 256 + 1e-4
    assert float(away.median()) > 2
    points = first_prompts(mask, 256, Prompts(boxes=0.0), rng())
    assert points.labels_bn[0].tolist() == [OBJECT, PADDING]
    x, y = points.coords_bn2[:, 0].unbind(1)
    assert 64 < float(x.min()) < float(x.max()) < 128
    assert 32 < float(y.min()) < float(y.max()) < 160
    mixed = first_prompts(mask, 256, Prompts(boxes=0.3), rng())
    assert int((mixed.labels_bn[:, 0] == 2).sum()) == pytest.approx(150, abs=40)


def test_corrections_lie_where_masks_differ_and_say_which_way() -> None:
    true = square().expand(200, -1, -1)
    found = torch.zeros_like(true)
    found[:, 8:24, 16:48] = True  # half of it, and as much beside it
    start = Prompted(torch.zeros(200, 2, 2), torch.zeros(200, 2))
    after = corrected(start, found, true, 256, rng())
    assert after.coords_bn2.shape == (200, 3, 2)
    for (x, y), label in zip(
        ((after.coords_bn2[:, 2] + 0.5) / 4 - 0.5).round().long(), after.labels_bn[:, 2], strict=True
    ):
        assert bool(found[0, y, x]) != bool(true[0, y, x])
        assert float(label) == (OBJECT if true[0, y, x] else BACKGROUND)
    assert 0.3 < float(after.labels_bn[:, 2].mean()) < 0.7
    right = corrected(start, true, true, 256, rng(), feedback_b1hw=torch.ones(200, 1, 64, 64))
    assert set(right.labels_bn[:, 2].tolist()) == {OBJECT}
    assert right.mask_b1hw is not None
    empty = torch.zeros_like(true)
    assert set(corrected(start, empty, empty, 256, rng()).labels_bn[:, 2].tolist()) == {PADDING}


def test_draws_repeat_themselves() -> None:
    one, two = (first_prompts(square().expand(4, -1, -1), 256, Prompts(), rng()) for _ in range(2))
    assert torch.equal(one.coords_bn2, two.coords_bn2)
