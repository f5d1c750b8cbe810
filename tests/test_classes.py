from __future__ import annotations

import numpy as np
import pytest
import torch

from mobilesam import CheckpointError
from mobilesam.classes import ClassHead, under_masks
from mobilesam.train import classes as trained


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 6, 4, 4)).astype(np.float32)


def test_the_mean_under_a_mask_weighs_cells_by_what_is_covered(features: np.ndarray) -> None:
    masks = np.zeros((3, 16, 16), bool)
    masks[0, 0:4, 0:4] = True  # one whole cell
    masks[1, 0:4, 2:8] = True  # half a cell and the one beside it
    expected = [features[0, :, 0, 0], (features[0, :, 0, 0] + 2 * features[0, :, 0, 1]) / 3, np.zeros(6)]
    np.testing.assert_allclose(under_masks(features, masks), expected, atol=1e-6)
    in_torch = trained.under_masks(torch.from_numpy(features), torch.from_numpy(masks))
    np.testing.assert_allclose(in_torch.numpy(), expected, atol=1e-6)


def test_scores_are_the_softmax_of_a_linear_layer(features: np.ndarray) -> None:
    layer = torch.nn.Linear(6, 3)
    tensors = {key: value.numpy() for key, value in layer.state_dict().items()}
    head = ClassHead.of(tensors, ("a", "b", "c"))
    logits = np.random.default_rng(1).normal(size=(5, 16, 16)).astype(np.float32)
    with torch.no_grad():
        expected = layer(trained.under_masks(torch.from_numpy(features), torch.from_numpy(logits > 0))).softmax(1)
    classes, scores = head.classify(features, logits)
    assert classes.tolist() == expected.argmax(1).tolist()
    np.testing.assert_allclose(scores, expected.max(1).values.numpy(), atol=1e-6)
    assert head.classify(features, logits[:0])[0].shape == (0,)


@pytest.mark.parametrize(
    ("tensors", "names"),
    [
        ({"weight": np.zeros((2, 6))}, ("a", "b")),
        ({"weight": np.zeros((2, 6)), "bias": np.zeros(2)}, None),
        ({"weight": np.zeros((2, 6)), "bias": np.zeros(2)}, ("a", "b", "c")),
        ({"weight": np.zeros((2, 6)), "bias": np.zeros(3)}, ("a", "b")),
        ({"weight": np.zeros(2), "bias": np.zeros(2)}, ("a", "b")),
        ({"weight": np.zeros((2, 6)), "bias": np.zeros(2), "more": np.zeros(2)}, ("a", "b")),
        ({}, ("a", "b")),
    ],
)
def test_a_head_that_does_not_fit_its_names(tensors, names) -> None:
    with pytest.raises(CheckpointError, match="don't fit"):
        ClassHead.of(tensors, names)


def test_no_head() -> None:
    assert ClassHead.of({}, None) is None
