"""LoRA (Hu et al. 2021, arXiv:2106.09685): a frozen matrix and a trained product of two thin ones that is added to it.

As a parametrisation of the weight itself: whoever reads `linear.weight` gets the sum, so no layer is replaced.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import InputError

PLACES = (".attn.", ".mlp.")
"""Linear layers under these names: qkv, proj, and the two of each MLP."""


class LowRank(nn.Module):
    """W -> W + up @ down, with up zero at the start: nothing changes before the first step."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.empty(rank, columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def add(encoder: nn.Module, rank: int, seed: int) -> int:
    """Give the encoder's attention and MLP matrices low-rank additions, the only parts to be trained; how many.

    Raises InputError for an encoder without such layers.
    """
    layers = [
        module
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and any(place in f".{name}" for place in PLACES)
    ]
    if not layers:
        raise InputError("This encoder has no attention or MLP layers for LoRA; train its neck, or all of it.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in layers:
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank))
    return len(layers)


def merged(model: nn.Module) -> dict[str, Tensor]:
    """The model's state dict with plain matrices in which the additions are; for others just the state dict."""
    added = {name: module for name, module in model.named_modules() if parametrize.is_parametrized(module)}
    state: dict[str, Tensor] = {
        key: value for key, value in model.state_dict().items() if ".parametrizations.weight." not in key
    }
    return state | {f"{name}.weight": weight_of(module) for name, module in added.items()}


def weight_of(linear: Any) -> Tensor:
    """A layer's matrix with its addition."""
    weight: Tensor = linear.weight
    return weight
