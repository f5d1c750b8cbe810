"""A weights file, recognised by what is in it: keys and shapes, never the file's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .._optional import require
from ..catalog.models import ARCHS, ArchSpec
from ..catalog.store import digest_of
from ..classes import ClassHead
from ..errors import CheckpointError
from ..nn.config import Shape, TinyVitConfig, encoder_shapes, name_of
from ..types import AnyArray
from . import description
from .description import CLASSES, GRAPH, SIZED, Description
from .graph import named_in

T = TypeVar("T")
State = Mapping[str, AnyArray]
SHOWN = 4
"""So many keys are named in an error."""
MOST_HEADER, MOST_GRAPH = 100_000_000, 64_000_000
"""Bytes of a safetensors header (its library's own limit), and of a graph that a file carries."""


@dataclass(frozen=True)
class Checkpoint:
    """A weights file whose tensors are read when they are first needed.

    A compiled model in the cache needs none of them, only `digest`, `name` and `graph`.
    """

    path: Path

    @cached_property
    def digest(self) -> str:
        """sha256 of the file."""
        return digest_of(self.path)

    @property
    def model_id(self) -> str:
        """What an embedding remembers of the weights that made it."""
        return f"{self.name}-{self.digest[:16]}"

    @cached_property
    def name(self) -> str:
        """The architecture in the catalog, or a student with its size ("tiny_vit_11m_512"). Raises CheckpointError."""
        if self.config is None:
            return self.arch.name
        check(self._weights, self.shapes, f"{self.path} isn't the student that its header describes")
        return f"{name_of(self.config)}_{self.img_size}"

    @cached_property
    def arch(self) -> ArchSpec:
        """The catalog's architecture that the keys and shapes belong to.

        Raises CheckpointError for anything else, and for a student of another width or input size.
        """
        if self.config is not None:
            raise CheckpointError(
                f"{self.path} is a student ({self.name}), which only mobilesam.SAM runs. "
                f"Pass a checkpoint of one of: {', '.join(ARCHS)}."
            )
        return recognise(self._weights, self.path)

    @property
    def img_size(self) -> int:
        """Side of the model's square in pixels."""
        return self.arch.img_size if self.config is None else self.description.img_size

    @property
    def cuts(self) -> tuple[int, ...]:
        """Rows of 16 pixels for which there is an encoder of a photo's upper part: graph("encoder_45") and so on."""
        return self.arch.cuts if self.config is None else ()

    @property
    def config(self) -> TinyVitConfig | None:
        """A student's widths and depths; None for an architecture of the catalog."""
        return self.description.config

    @property
    def architecture(self) -> str | TinyVitConfig:
        """What `nn.checkpoint.load_sam` builds. Raises CheckpointError."""
        name = self.name
        return self.config or name

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Key -> shape of all the architecture's tensors, of which the file may lack some that nothing reads."""
        return self.arch.shapes if self.config is None else student_shapes(self.config)

    @cached_property
    def description(self) -> Description:
        """What the file says of itself; the defaults where it says nothing. Raises CheckpointError."""
        if not self._is_safetensors:
            return Description()
        try:
            found = description.read(self._header.get("__metadata__", {})) or Description()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{self.path} has a damaged description: {error}. Save it again.") from error
        if carried := [key for key in self._all_shapes if key.startswith(GRAPH) and not found.graphs]:
            raise CheckpointError(
                f"{self.path} carries {', '.join(carried[:SHOWN])} but no description of them, as when another program "
                "has written a student's tensors anew. Use the file that training wrote."
            )
        return found

    def graph(self, part: str) -> bytes:
        """The weight-free graph of "encoder", "prompts", "decoder" or "decoder_masked". Raises CheckpointError."""
        if self.config is None:
            return self.arch.graph(part)
        if part not in SIZED:
            return ARCHS["mobile_sam"].graph(part)
        key = GRAPH + part
        if int(np.prod(self._all_shapes.get(key, (0,)))) > MOST_GRAPH:
            raise CheckpointError(f"{self.path}: {key} is larger than {MOST_GRAPH} bytes. Save the model again.")
        data = self._read({key}).get(key, np.zeros(0, np.uint8)).tobytes()
        # A graph may name other files as the place of its tensors; ours never do.
        if hashlib.sha256(data).hexdigest() != self.description.graphs.get(part) or b"location" in data:
            raise CheckpointError(
                f"{self.path}: {key} isn't the graph that its header describes. Save the model again."
            )
        return data

    def state(self, only: Collection[str] | None = None) -> dict[str, AnyArray]:
        """The model's tensors, or some of them, as arrays under upstream's keys."""
        return self._read(self._weights.keys() if only is None else set(only))

    def weights(self, graph: bytes, *, turned: bool = False) -> dict[str, AnyArray]:
        """The tensors that a graph reads, as contiguous float32.

        `turned` gives those of an encoder of photos turned over their diagonal, rows for columns.
        """
        state = self.state(named_in(graph, self.shapes))
        if turned:
            state = {key: turn(key, value) for key, value in state.items()}
        return {key: np.ascontiguousarray(value, np.float32) for key, value in state.items()}

    def class_head(self) -> ClassHead | None:
        """What tells classes of masks, or None. Raises CheckpointError where it doesn't fit the names."""
        keys = [key for key in self._all_shapes if key.startswith(CLASSES)]
        found = {key.removeprefix(CLASSES): value for key, value in self._read(keys).items()} if keys else {}
        return ClassHead.of(found, self.description.names)

    def _read(self, keys: Collection[str]) -> dict[str, AnyArray]:
        if not self._is_safetensors:
            return {key: value for key, value in self._pickled.items() if key in keys}
        safe_open = require("safetensors", None, "Reading weights").safe_open
        try:
            with safe_open(self.path, framework="np") as file:
                names = bare_state({key: key for key in file.keys()})  # noqa: SIM118  # the file is no mapping
                return {key: file.get_tensor(name) for key, name in names.items() if key in keys}
        except Exception as error:  # safetensors raises its own class, which is not exported
            raise CheckpointError(f"{self.path} is damaged: {error}. Get the file again.") from error

    @property
    def _weights(self) -> dict[str, Shape]:
        return {key: shape for key, shape in self._all_shapes.items() if not key.startswith((GRAPH, CLASSES))}

    @cached_property
    def _all_shapes(self) -> dict[str, Shape]:
        if not self._is_safetensors:
            return {key: value.shape for key, value in self._pickled.items()}
        try:
            return bare_state({key: tuple(v["shape"]) for key, v in self._header.items() if key != "__metadata__"})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{self.path} is no readable safetensors file: {error}. Get it again.") from error

    @cached_property
    def _header(self) -> dict[str, Any]:
        """The header of a safetensors file: 8 bytes of length, then JSON."""
        try:
            with self.path.open("rb") as handle:
                length = int.from_bytes(handle.read(8), "little")
                header = json.loads(handle.read(min(length, MOST_HEADER)))
            return dict(header.items())
        except (ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{self.path} is no readable safetensors file: {error}. Get it again.") from error

    @cached_property
    def _is_safetensors(self) -> bool:
        with self.path.open("rb") as handle:
            return handle.read(9)[8:] == b"{"

    @cached_property
    def _pickled(self) -> dict[str, AnyArray]:
        require("torch", "torch", f"Reading {self.path.name} (a PyTorch file)")
        from ..nn.checkpoint import read_pickled

        return bare_state({key: value.numpy() for key, value in read_pickled(self.path).items()})


def turn(key: str, value: Any) -> Any:
    """One of an encoder's tensors (of NumPy or PyTorch), for photos whose rows and columns are exchanged."""
    if key.endswith("attention_biases"):  # one for each offset (|dy|, |dx|) in a window
        side = round(value.shape[1] ** 0.5)
        return value.reshape(-1, side, side).swapaxes(1, 2).reshape(value.shape)
    return value.swapaxes(2, 3) if value.ndim == 4 else value


def student_shapes(config: TinyVitConfig) -> dict[str, Shape]:
    """Key -> shape of a student: a TinyViT with SAM's prompt encoder and decoder."""
    shared = ARCHS["mobile_sam"].shapes.items()
    rest = {key: shape for key, shape in shared if not key.startswith("image_encoder.")}
    return encoder_shapes(config) | rest


def recognise(shapes: Mapping[str, Shape], path: Path) -> ArchSpec:
    """The architecture with these keys and shapes.

    Raises CheckpointError that names missing, surplus and misshapen keys of the nearest architecture.
    """
    nearest = min(ARCHS.values(), key=lambda arch: len(arch.shapes.keys() ^ shapes.keys()))
    problem = f"{path} isn't a checkpoint of a known model; compared with {nearest.name}"
    check(shapes, nearest.shapes, problem, nearest)
    return nearest


def check(
    shapes: Mapping[str, Shape], expected: Mapping[str, Shape], problem: str, arch: ArchSpec = ARCHS["mobile_sam"]
) -> None:
    """Raise CheckpointError, `problem` and then what is missing, surplus or misshapen, unless the shapes fit."""
    missing = [k for k in expected if k not in shapes and not arch.is_optional(k)]
    surplus = [k for k in shapes if k not in expected]
    other = [f"{k} {shapes[k]} not {expected[k]}" for k in shapes if k in expected and shapes[k] != expected[k]]
    if not (missing or surplus or other):
        return
    parts = [
        f"{len(keys)} {what}: {', '.join(keys[:SHOWN])}{', ...' if len(keys) > SHOWN else ''}"
        for what, keys in (("missing", missing), ("surplus", surplus), ("of another shape", other))
        if keys
    ]
    raise CheckpointError(f"{problem}: {'; '.join(parts)}. Known architectures: {', '.join(ARCHS)}.")


def bare_state(loaded: dict[str, T]) -> dict[str, T]:
    """Without the prefix "sam." that some training programs write."""
    if loaded and all(key.startswith("sam.") for key in loaded):
        return {key.removeprefix("sam."): value for key, value in loaded.items()}
    return loaded
