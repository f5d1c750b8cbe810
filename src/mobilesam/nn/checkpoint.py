"""Checkpoints of PyTorch: the only place that calls torch.load, and only for plain tensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..types import AnyArray
from .config import TinyVitConfig
from .sam import Sam, image_encoder, with_encoder

WRAPPERS = ("model", "model_state", "state_dict")
"""Keys under which training programs put the state dict (Ultralytics, micro-sam, Lightning)."""


def read_pickled(path: Path) -> dict[str, Tensor]:
    """The state dict of a .pt or .pth file, bare or under one of `WRAPPERS`, on the CPU.

    Nothing but tensors and plain containers is unpickled (`weights_only=True`).
    Raises CheckpointError where the file is something else.
    """
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as a checkpoint of plain tensors ({reason}). "
            "Pass a state dict saved by torch.save(model.state_dict(), path), or a .safetensors file."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise CheckpointError(f"{path} holds no state dict (a mapping from names to tensors). Pass one that does.")
    return dict(loaded)


def load_sam(arch: str | TinyVitConfig, img_size: int, state: Mapping[str, AnyArray]) -> Sam:
    """A model of an architecture of the catalog, or of a student's widths, with the tensors of a checked state dict."""
    # No memory and no random numbers for weights that are replaced at once. The small parts are made as usual: drawing
    # from a normal distribution on "meta" imports all of torch's compiler, which takes a second and changes globals.
    with torch.device("meta"):
        encoder = image_encoder(arch, img_size)
    sam = with_encoder(encoder, img_size)
    load_state(sam, state)
    return sam


def load_state(model: nn.Module, state: Mapping[str, AnyArray]) -> None:
    """Give a model the tensors of a state dict whose keys were checked, as float32.

    Keys that no forward pass reads may be absent; they become zero, so that nothing random is saved later.
    Float32 arrays are taken as they are, not copied.
    """
    expected = model.state_dict()
    tensors = {key: torch.from_numpy(value).to(expected[key].dtype) for key, value in state.items()}
    absent = {key: torch.zeros(v.shape, dtype=v.dtype) for key, v in expected.items() if key not in tensors}
    model.load_state_dict(tensors | absent, assign=True)
