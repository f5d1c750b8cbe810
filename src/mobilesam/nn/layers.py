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
