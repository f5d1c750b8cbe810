"""Classes of masks: a linear layer on the embedding's mean under each mask. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import CheckpointError
from .types import F32, AnyArray, Int

WEIGHT, BIAS = "weight", "bias"
MASK_CELLS = 4
"""Low-resolution cells a cell of the embedding, along each side."""


@dataclass(frozen=True, eq=False)
class ClassHead:
    """What a checkpoint with classes has; see `train.classes`."""

    weight: F32
    """(K, C)"""
    bias: F32
    """(K,)"""
    names: tuple[str, ...]

    @classmethod
    def of(cls, tensors: Mapping[str, AnyArray], names: tuple[str, ...] | None) -> ClassHead | None:
        """The head of a checkpoint's tensors, or None without any. Raises CheckpointError where they don't fit."""
        if not tensors and names is None:
            return None
        shapes = {key: value.shape for key, value in tensors.items()}
        count = len(names or ())
        weight, bias = shapes.get(WEIGHT, ()), shapes.get(BIAS, ())
        if len(shapes) != 2 or len(weight) != 2 or not count or (weight[0], *bias) != (count, count):
            raise CheckpointError(
                f"The class head's tensors {shapes} don't fit its {count} names. Save the model again."
            )
        return cls(np.asarray(tensors[WEIGHT], np.float32), np.asarray(tensors[BIAS], np.float32), names or ())

    def classify(self, features_bchw: F32, low_res_nhw: F32) -> tuple[Int, F32]:
        """The class (N,) of each mask, given as logits, and its probability (N,)."""
        scores_nk = under_masks(features_bchw, low_res_nhw > 0) @ self.weight.T + self.bias
        exponents_nk = np.exp(scores_nk - scores_nk.max(axis=1, keepdims=True))
        chosen_n = scores_nk.argmax(axis=1)
        return chosen_n, np.asarray(exponents_nk.max(axis=1) / exponents_nk.sum(axis=1), np.float32)


def under_masks(features_bchw: F32, mask_nhw: AnyArray) -> F32:
    """The mean (N, C) of an embedding under low-resolution masks; zeros under an empty one.

    >>> under_masks(np.full((1, 2, 1, 1), 3, np.float32), np.ones((1, 4, 4), bool)).tolist()
    [[3.0, 3.0]]
    """
    rows, columns = features_bchw.shape[2:]
    blocks = mask_nhw.reshape(len(mask_nhw), rows, MASK_CELLS, columns, MASK_CELLS)
    share = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(len(mask_nhw), rows * columns)
    cells = features_bchw[0].reshape(features_bchw.shape[1], -1)
    return np.asarray((share @ cells.T) / np.maximum(share.sum(axis=1, keepdims=True), 1e-6), np.float32)
