"""Simulated prompts (Kirillov et al. 2023, appendix A, "Training algorithm"), for many objects at once.

Masks are low-resolution cells (N, H, W), as the decoder gives them; points come out in the model's pixels. Random
numbers are drawn from NumPy's generators on the CPU, so that a run repeats itself on any device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .config import Prompts

OBJECT, BACKGROUND, TOP_LEFT, BOTTOM_RIGHT, PADDING = 1.0, 0.0, 2.0, 3.0, -1.0
"""The prompt encoder's labels."""
MOST_NOISE = 20 / 1024
"""A box corner's largest error, of the model's square."""


@dataclass(frozen=True)
class Prompted:
    """What the decoder gets for N objects of one photo."""

    coords_bn2: Tensor
    """(N, tokens, 2), in the model's pixels."""
    labels_bn: Tensor
    """(N, tokens)"""
    mask_b1hw: Tensor | None = None
    """Earlier logits, from the second round on."""


def pick(region_nhw: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A uniformly random cell of each region: columns and rows (N, 2) as x, y; and (N,) whether there was any.

    >>> pick(torch.tensor([[[False, True], [False, False]]]), np.random.default_rng(0))[0].tolist()
    [[1, 0]]
    """
    count, _, width = region_nhw.shape
    running_nk = region_nhw.flatten(1).cumsum(1)
    total_n = running_nk[:, -1]
    share_n = torch.as_tensor(rng.random(count), device=region_nhw.device)
    wanted_n1 = (share_n * total_n).long().clamp(max=(total_n - 1).clamp(min=0)).unsqueeze(1) + 1
    cell_n = torch.searchsorted(running_nk, wanted_n1).squeeze(1).clamp(max=running_nk.shape[1] - 1)
    return torch.stack([cell_n % width, cell_n // width], dim=1), total_n > 0


def to_pixels(cells_n2: Tensor, cells: int, img_size: int) -> Tensor:
    """Centres of cells in the model's pixels, whose own centres are whole numbers.

    >>> to_pixels(torch.tensor([[0, 1]]), 256, 1024).tolist()
    [[1.5, 5.5]]
    """
    return (cells_n2.float() + 0.5) * (img_size / cells) - 0.5


def boxes(mask_nhw: Tensor) -> Tensor:
    """Boxes (N, 4) of masks as xyxy in cells, the last two exclusive; zeros where a mask is empty."""
    height, width = mask_nhw.shape[-2:]
    spans = []
    for axis, side in ((1, width), (2, height)):
        seen_nk = mask_nhw.any(axis)
        first = seen_nk.int().argmax(1)
        spans += [first, torch.where(seen_nk.any(1), side - seen_nk.flip(1).int().argmax(1), 0)]
    x1, x2, y1, y2 = spans
    return torch.stack([x1, y1, x2, y2], dim=1)


def first_prompts(mask_nhw: Tensor, img_size: int, config: Prompts, rng: np.random.Generator) -> Prompted:
    """Each object's box with noise, or a random point of it; both are two tokens long.

    A point is followed by the padding token, as SAM's predictor does where there is no box.
    """
    count, _, cells = mask_nhw.shape
    device = mask_nhw.device
    edges_n22 = boxes(mask_nhw).float().reshape(count, 2, 2) * (img_size / cells)
    side_n12 = (edges_n22[:, 1] - edges_n22[:, 0]).unsqueeze(1)
    noise = torch.as_tensor(rng.standard_normal((count, 2, 2)), dtype=torch.float32, device=device)
    most = MOST_NOISE * img_size
    box_n22 = (edges_n22 + (noise * config.noise * side_n12).clamp(-most, most)).clamp(0, img_size)
    point_n2, _ = pick(mask_nhw, rng)
    point_n22 = torch.stack([to_pixels(point_n2, cells, img_size), torch.zeros(count, 2, device=device)], dim=1)
    is_box_n = torch.as_tensor(rng.random(count) < config.boxes, device=device)
    corner, click = torch.tensor([[TOP_LEFT, BOTTOM_RIGHT], [OBJECT, PADDING]], device=device)
    return Prompted(
        torch.where(is_box_n[:, None, None], box_n22, point_n22), torch.where(is_box_n[:, None], corner, click)
    )


def corrected(
    prompts: Prompted,
    found_nhw: Tensor,
    true_nhw: Tensor,
    img_size: int,
    rng: np.random.Generator,
    feedback_b1hw: Tensor | None = None,
) -> Prompted:
    """The prompts and a point where the found mask is wrong: on what is missing 1, on what is too much 0.

    An object that is found exactly gets a point inside it. `feedback_b1hw` are logits to go with the next round.
    """
    wrong_nhw = found_nhw ^ true_nhw
    region_nhw = torch.where(wrong_nhw.flatten(1).any(1)[:, None, None], wrong_nhw, true_nhw)
    cell_n2, there_n = pick(region_nhw, rng)
    inside_n = true_nhw[torch.arange(len(true_nhw), device=true_nhw.device), cell_n2[:, 1], cell_n2[:, 0]]
    label_n = torch.where(there_n, inside_n.float(), PADDING)
    point_n12 = to_pixels(cell_n2, true_nhw.shape[-1], img_size).unsqueeze(1)
    return replace(
        prompts,
        coords_bn2=torch.cat([prompts.coords_bn2, point_n12], dim=1),
        labels_bn=torch.cat([prompts.labels_bn, label_n.unsqueeze(1)], dim=1),
        mask_b1hw=feedback_b1hw,
    )
