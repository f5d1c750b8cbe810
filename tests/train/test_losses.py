"""Losses by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mobilesam.train import losses


def test_embedding_error_weighs_cells_and_channels() -> None:
    student = torch.zeros(1, 2, 1, 2)
    teacher = torch.tensor([[[[1.0, 10.0]], [[2.0, 10.0]]]])
    both = losses.embedding_error(student, teacher, torch.ones(1, 1, 2))
    assert float(both) == pytest.approx(((1 + 4) / 2 + 100) / 2)
    first = losses.embedding_error(student, teacher, torch.tensor([[[1.0, 0.0]]]))
    assert float(first) == pytest.approx(2.5)
    scaled = losses.embedding_error(student, teacher, torch.tensor([[[1.0, 0.0]]]), torch.tensor([1.0, 2.0]))
    assert float(scaled) == pytest.approx(1.0)


def test_focal_by_hand_and_without_invalid_cells() -> None:
    logits, true = torch.tensor([[[2.0, -7.0]]]), torch.tensor([[[1.0, 1.0]]])
    valid = torch.tensor([[[1.0, 0.0]]])
    right = 1 / (1 + math.exp(-2))
    assert float(losses.focal(logits, true, valid)) == pytest.approx(0.25 * (1 - right) ** 2 * -math.log(right))
    assert float(losses.focal(logits, 1 - true, valid)) == pytest.approx(0.75 * right**2 * -math.log(1 - right))


def test_dice_is_nothing_for_the_same_mask() -> None:
    true = torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]])
    valid = torch.ones(1, 3)
    logits = 40 * (true - 0.5)
    assert losses.dice(logits, true, valid).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert float(losses.dice(-logits, true, valid)[0]) == pytest.approx(1 - 1 / 4)


def test_iou_and_its_prediction() -> None:
    logits, true = torch.tensor([[[3.0, 3.0, -3.0]]]), torch.tensor([[[1.0, 0.0, 1.0]]])
    valid = torch.ones(1, 1, 3)
    assert float(losses.mask_iou(logits, true, valid)) == pytest.approx(1 / 3)
    assert float(losses.mask_iou(-3 - 0 * logits, 0 * true, valid)) == 1
    assert float(losses.iou_error(torch.tensor([1.0]), logits, true, valid)) == pytest.approx((2 / 3) ** 2)


def test_gradients_reach_the_logits_and_are_finite() -> None:
    logits = torch.tensor([[[50.0, -50.0, 0.0]]], requires_grad=True)
    true, valid = torch.tensor([[[0.0, 1.0, 1.0]]]), torch.ones(1, 1, 3)
    (losses.focal(logits, true, valid) + losses.dice(logits, true, valid)).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert float(logits.grad[0, 0, 2]) < 0
