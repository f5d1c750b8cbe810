"""Students that are small enough for tests."""

from __future__ import annotations

import torch

from mobilesam.nn.sam import Sam, TinyVitConfig, build_student

NARROW = TinyVitConfig(dims=(16, 32, 32, 64), depths=(1, 1, 2, 1), heads=(1, 1, 1, 2))
SIZE = 128


def make_student(config: TinyVitConfig = NARROW, size: int = SIZE, seed: int = 0) -> Sam:
    """Random weights, and BatchNorm statistics as after training: a form that skipped or misfolded them shows."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sam = build_student(config, size)
        for key, value in sam.state_dict().items():
            if key.endswith(("bn.running_var", "bn.weight")):
                value.uniform_(0.5, 1.5)
            if key.endswith(("bn.running_mean", "bn.bias")):
                value.uniform_(-0.2, 0.2)
    return sam
