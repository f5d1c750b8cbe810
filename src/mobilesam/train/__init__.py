"""Training in PyTorch: a student distilled from any SAM, and fine-tuning. Needs the train extra.

| file | holds |
|---|---|
| config, recipes | what a run is, and TOML files of it |
| photos, embedder, embeddings | photos in folders and tar shards; stage 0: the teacher's embeddings on disk |
| student, distillation | the network; stages 1 and 2 |
| labelled, features, finetuning | photos with masks, what a frozen encoder makes of them, fine-tuning |
| lora, classes | low-rank additions, a class head |
| losses, sampling | what is made small; simulated prompts |
| start | `SAM.train` |
| loop, optim, validate, state, log, world | the loop and what it needs; several processes |
| checkpoint | the result, which every runtime takes |
"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "distill": "distillation",
    "embed": "embedder",
    "finetune": "finetuning",
    "load": "config",
    "Config": "config",
}
__all__ = ["Config", "distill", "embed", "finetune", "load"]  # loaded on first use


def __getattr__(name: str) -> Any:
    """Import a function on first use: torch takes seconds."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
