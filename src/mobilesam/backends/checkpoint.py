"""A weights file, recognised by what is in it: keys and shapes, never the file's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from .._optional import require
from ..catalog.models import ARCHS, ArchSpec
from ..catalog.store import digest_of
from ..errors import CheckpointError
from ..types import AnyArray

T = TypeVar("T")
State = Mapping[str, AnyArray]
SHOWN = 4
"""So many keys are named in an error."""


@dataclass(frozen=True)
class Checkpoint:
    """A weights file whose tensors are read when they are first needed.

    A compiled model in the cache needs none of them, only `digest` and `arch`.
    """

    path: Path

    @cached_property
    def digest(self) -> str:
        """sha256 of the file."""
        return digest_of(self.path)

    @property
    def model_id(self) -> str:
        """What an embedding remembers of the weights that made it."""
        return f"{self.arch.name}-{self.digest[:16]}"

    @cached_property
    def arch(self) -> ArchSpec:
        """The architecture that the keys and shapes belong to. Raises CheckpointError."""
        return recognise(self._shapes(), self.path)

    def state(self) -> dict[str, AnyArray]:
        """The tensors as arrays, under upstream's keys."""
        if self._is_safetensors:
            load_file = require("safetensors.numpy", None, "Reading weights").load_file
            try:
                return bare_state(load_file(self.path))
            except Exception as error:  # safetensors raises its own class, which is not exported
                raise CheckpointError(f"{self.path} is damaged: {error}. Get the file again.") from error
        return self._pickled

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        if self._is_safetensors:
            return _header_shapes(self.path)
        return {key: value.shape for key, value in self._pickled.items()}

    @cached_property
    def _is_safetensors(self) -> bool:
        with self.path.open("rb") as handle:
            return handle.read(9)[8:] == b"{"

    @cached_property
    def _pickled(self) -> dict[str, AnyArray]:
        require("torch", "torch", f"Reading {self.path.name} (a PyTorch file)")
        from ..nn.checkpoint import read_pickled

        return bare_state({key: value.numpy() for key, value in read_pickled(self.path).items()})


def recognise(shapes: Mapping[str, tuple[int, ...]], path: Path) -> ArchSpec:
    """The architecture with these keys and shapes.

    Raises CheckpointError that names missing, surplus and misshapen keys of the nearest architecture.
    """
    nearest = min(ARCHS.values(), key=lambda arch: len(arch.shapes.keys() ^ shapes.keys()))
    expected = nearest.shapes
    missing = [k for k in expected if k not in shapes and not nearest.is_optional(k)]
    surplus = [k for k in shapes if k not in expected]
    other = [f"{k} {shapes[k]} not {expected[k]}" for k in shapes if k in expected and shapes[k] != expected[k]]
    if not (missing or surplus or other):
        return nearest
    parts = [
        f"{len(keys)} {what}: {', '.join(keys[:SHOWN])}{', ...' if len(keys) > SHOWN else ''}"
        for what, keys in (("missing", missing), ("surplus", surplus), ("of another shape", other))
        if keys
    ]
    raise CheckpointError(
        f"{path} isn't a checkpoint of a known model; compared with {nearest.name}: {'; '.join(parts)}. "
        f"Known architectures: {', '.join(ARCHS)}."
    )


def bare_state(loaded: dict[str, T]) -> dict[str, T]:
    """Without the prefix "sam." that some training programs write."""
    if loaded and all(key.startswith("sam.") for key in loaded):
        return {key.removeprefix("sam."): value for key, value in loaded.items()}
    return loaded


def _header_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes from the header of a safetensors file: 8 bytes of length, then JSON."""
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = json.loads(handle.read(min(length, path.stat().st_size)))
        shapes = {key: tuple(value["shape"]) for key, value in header.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is no readable safetensors file: {error}. Get the file again.") from error
    return bare_state(shapes)


def as_float32(state: State) -> dict[str, AnyArray]:
    """The floating tensors as float32 (a bundled file stores matrices in half precision)."""
    return {k: np.asarray(v, np.float32) for k, v in state.items() if np.issubdtype(v.dtype, np.floating)}
