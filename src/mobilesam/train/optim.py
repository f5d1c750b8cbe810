"""AdamW's groups, the learning rate of each step, averaged weights."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .config import PARTS, Config, Optimiser


def groups(model: nn.Module, config: Optimiser) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate and decay: `share` is a group's part of the learning rate."""
    found: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and "attention_biases" not in name
            found.setdefault((config.layer_decay ** depth_below_top(name), decays), []).append(parameter)
    return [
        {"params": parameters, "share": share, "weight_decay": config.weight_decay if decays else 0.0}
        for (share, decays), parameters in found.items()
    ]


def depth_below_top(name: str) -> int:
    """How many stages of a TinyViT stand above a parameter: 0 for the neck and what isn't the encoder's.

    >>> depth_below_top("image_encoder.layers.3.blocks.0.mlp.fc1.weight"), depth_below_top("patch_embed.seq.0.c.weight")
    (1, 5)
    """
    if stage := re.search(r"\blayers\.(\d)\.", name):
        return PARTS - 1 - int(stage[1]) if "mask_decoder" not in name else 0
    return PARTS if "patch_embed." in name else 0


def learning_rate(step: int, config: Config) -> float:
    """The learning rate of a step: a straight rise, then half a cosine down to `lr_end`.

    >>> from .config import Config, Loop, Optimiser
    >>> run = Config(optimiser=Optimiser(lr=1.0, lr_end=0.0, warmup=2), loop=Loop(steps=4))
    >>> [round(learning_rate(step, run), 3) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    opt, steps = config.optimiser, config.loop.steps
    warmup = min(opt.warmup, steps)
    if step < warmup:
        return opt.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return opt.lr * (opt.lr_end + (1 - opt.lr_end) * 0.5 * (1 + math.cos(math.pi * done)))


class Average:
    """Exponential moving average of everything of a model that changes in training; off with a decay of 0."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.clone() for name, value in changing(model).items()} if decay else {}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step; early on the average follows faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in changing(model).items() if self.decay else ():
            self.state[name].lerp_(value, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The averaged weights in the model while the block runs."""
        mine = changing(model) if self.decay else {}
        kept = {name: value.clone() for name, value in mine.items()}
        _copy(self.state, mine)
        try:
            yield
        finally:
            _copy(kept, mine)


def changing(model: nn.Module) -> dict[str, Tensor]:
    """Trainable parameters, and float buffers: BatchNorm's statistics."""
    found = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return found | {name: b for name, b in model.named_buffers() if b.is_floating_point()}


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])
