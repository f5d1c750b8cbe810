"""Losses, each one value an example: whoever calls them decides how examples are weighed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def embedding_error(
    student_bchw: Tensor, teacher_bchw: Tensor, weight_bhw: Tensor, scale_c: Tensor | None = None
) -> Tensor:
    """Mean squared difference of embeddings (B,), cells weighted by `weight_bhw`, channels divided by `scale_c`.

    >>> ones = torch.ones(1, 2, 1, 2)
    >>> embedding_error(ones, 3 * ones, torch.tensor([[[1.0, 0.0]]])).tolist()
    [4.0]
    """
    difference = student_bchw.float() - teacher_bchw.float()
    if scale_c is not None:
        difference = difference / scale_c[:, None, None]
    per_cell_bhw = difference.pow(2).mean(1)
    return (per_cell_bhw * weight_bhw).sum((1, 2)) / weight_bhw.sum((1, 2))


def focal(logits_nhw: Tensor, true_nhw: Tensor, valid_nhw: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss (N,) of masks (Lin et al. 2017), the mean over valid cells.

    `true_nhw` is 0 or 1 in float, `valid_nhw` 1 where a cell counts.
    """
    logits = logits_nhw.float()
    error = F.binary_cross_entropy_with_logits(logits, true_nhw, reduction="none")
    right = torch.exp(-error)  # the probability given to what is true
    weight = alpha * true_nhw + (1 - alpha) * (1 - true_nhw)
    loss = weight * (1 - right) ** gamma * error
    return (loss * valid_nhw).sum((-2, -1)) / valid_nhw.sum((-2, -1)).clamp(min=1)


def dice(logits_nhw: Tensor, true_nhw: Tensor, valid_nhw: Tensor) -> Tensor:
    """Dice loss (N,) of masks (Milletari et al. 2016), one added above and below so that empty masks are no trouble."""
    found = logits_nhw.float().sigmoid() * valid_nhw
    true = true_nhw * valid_nhw
    overlap = (found * true).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (found.sum((-2, -1)) + true.sum((-2, -1)) + 1)


@torch.no_grad()
def mask_iou(logits_nhw: Tensor, true_nhw: Tensor, valid_nhw: Tensor) -> Tensor:
    """IoU (N,) of thresholded masks where valid; 1 where both are empty.

    >>> mask_iou(torch.tensor([[[5.0, 5.0]]]), torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, 2)).tolist()
    [0.5]
    """
    found, true = (logits_nhw > 0) & (valid_nhw > 0), (true_nhw > 0.5) & (valid_nhw > 0)
    union = (found | true).sum((-2, -1))
    overlap = (found & true).sum((-2, -1))
    return torch.where(union > 0, overlap / union.clamp(min=1), 1.0)


def iou_error(predicted_n: Tensor, logits_nhw: Tensor, true_nhw: Tensor, valid_nhw: Tensor) -> Tensor:
    """Squared error (N,) of the predicted IoU against the mask's own."""
    return (predicted_n.float() - mask_iou(logits_nhw, true_nhw, valid_nhw)).pow(2)
