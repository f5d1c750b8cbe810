"""Small layers that several networks share."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """LayerNorm over the channels of a (B, C, H, W) map, eps 1e-6 as in SAM."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x_bchw: Tensor) -> Tensor:
        mean = x_bchw.mean(1, keepdim=True)
        centred = x_bchw - mean
        variance = centred.pow(2).mean(1, keepdim=True)
        normed = centred / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * normed + self.bias[:, None, None]


class MlpBlock(nn.Module):
    """Two linear layers with an activation between."""

    def __init__(self, dim: int, hidden: int, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(self.act(self.lin1(x)))
        return out


class Mlp(nn.Module):
    """`depth` linear layers with ReLU between them (SAM's hypernetworks and IoU head)."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int, depth: int) -> None:
        super().__init__()
        dims = [in_dim, *[hidden_dim] * (depth - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


def neck(dim: int, out_dim: int) -> nn.Sequential:
    """From an encoder's width to the decoder's: a 1x1 and a 3x3 convolution, each with a LayerNorm after it."""
    return nn.Sequential(
        nn.Conv2d(dim, out_dim, 1, bias=False),
        LayerNorm2d(out_dim),
        nn.Conv2d(out_dim, out_dim, 3, padding=1, bias=False),
        LayerNorm2d(out_dim),
    )


def drop_path(added: Tensor, rate: float, is_training: bool) -> Tensor:
    """What a block adds to its input (B, ...), in training left out of some photos (Huang et al. 2016).

    The others' is made larger by as much, so that the mean stays.
    """
    if not is_training or rate == 0:
        return added
    kept = torch.rand(added.shape[0], *[1] * (added.ndim - 1), device=added.device) >= rate
    return added * kept / (1 - rate)
