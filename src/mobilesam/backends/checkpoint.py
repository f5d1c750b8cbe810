"""A weights file, recognised by what is in it: keys and shapes, never the file's name."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
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
from .graph import named_in

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

    def state(self, only: Collection[str] | None = None) -> dict[str, AnyArray]:
        """The tensors, or some of them, as arrays under upstream's keys."""
        if not self._is_safetensors:
            return {key: value for key, value in self._pickled.items() if only is None or key in only}
        safe_open = require("safetensors", None, "Reading weights").safe_open
        try:
            with safe_open(self.path, framework="np") as file:
                names = bare_state({key: key for key in file.keys()})  # noqa: SIM118  # the file is no mapping
                return {key: file.get_tensor(name) for key, name in names.items() if only is None or key in only}
        except Exception as error:  # safetensors raises its own class, which is not exported
            raise CheckpointError(f"{self.path} is damaged: {error}. Get the file again.") from error

    def weights(self, graph: bytes) -> dict[str, AnyArray]:
        """The tensors that a graph reads, as contiguous float32."""
        state = self.state(named_in(graph, self.arch.shapes))
        return {key: np.ascontiguousarray(value, np.float32) for key, value in state.items()}

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
