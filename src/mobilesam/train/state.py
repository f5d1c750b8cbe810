"""What a killed run goes on from: one safetensors file of tensors, with plain values in its header; nothing is pickled.

There are no random states in it: order and prompts are functions of the seed and the step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from ..errors import InputError
from ..files import write_bytes
from .optim import Average, changing

FILE = "state.safetensors"
HEADER = "training"


def write(path: Path, model: torch.nn.Module, optimizer: Optimizer, average: Average, about: Mapping[str, Any]) -> None:
    """Write everything that changes in training, atomically. Raises OutputError."""
    parts = {"model": _of(model), "average": average.state, "optimiser": _flat(optimizer)}
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous().clone()
        for part, values in parts.items()
        for name, value in values.items()
    }
    write_bytes(path, save(tensors, {HEADER: json.dumps(about)}))


def read(path: Path, model: torch.nn.Module, optimizer: Optimizer, average: Average) -> dict[str, Any]:
    """Put what `write` wrote back; returns its plain values. Raises InputError where it is another run's."""
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, Any] = json.loads(file.metadata()[HEADER])
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # the file is no mapping
    except Exception as error:  # safetensors raises its own class, which is not exported
        raise InputError(f"{path} is no state of a training run ({error}). Begin anew in another folder.") from error
    for part, target in (("model", _of(model)), ("average", average.state)):
        mine = {name.removeprefix(f"{part}/"): value for name, value in found.items() if name.startswith(f"{part}/")}
        if mine.keys() != target.keys() or any(mine[name].shape != target[name].shape for name in mine):
            raise InputError(f"{path} is the state of another network. Begin anew in another folder.")
        with torch.no_grad():
            for name, value in target.items():
                value.copy_(mine[name])
    _restore(optimizer, {name: value for name, value in found.items() if name.startswith("optimiser/")})
    return about


def _of(model: torch.nn.Module) -> dict[str, Tensor]:
    """What changes, and BatchNorm's counters: nothing reads them, but a model's file has them."""
    stored = model.state_dict().keys()
    return changing(model) | {name: buffer for name, buffer in model.named_buffers() if name in stored}


def _flat(optimizer: Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{number}/{name}": value for number, values in state.items() for name, value in values.items()}


def _restore(optimizer: Optimizer, found: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in found.items():
        _, number, name = key.split("/")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
