"""What training leaves: one safetensors file that every runtime takes as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from .._optional import require
from ..backends.checkpoint import check, recognise, student_shapes
from ..backends.description import CLASSES, GRAPH, SIZED, SIZES, Description
from ..errors import InputError
from ..files import atomic_path
from ..nn.config import STUDENTS, TinyVitConfig
from ..nn.sam import Sam
from ..nn.tiny_vit import TinyVit
from .lora import merged


def save_model(
    path: str | Path,
    sam: Sam,
    about: Mapping[str, str] | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Path:
    """Write a model for `SAM(path)` on every runtime, atomically; returns the path.

    Weights are float32 under upstream's keys, low-rank additions summed into them. `about` says how it was made;
    `names` are the classes of `sam.class_head` (`train.classes`). A student of other widths or another input size than
    the catalog's models carries its graphs; they are made once a process, in a few seconds, and need the export extra.
    Raises InputError for another suffix or a model that the graphs can't run, OutputError, MissingDependencyError.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise InputError(
            f"A model is saved as .safetensors, got {target.name!r}; choose a name like 'student.safetensors'."
        )
    tensors = {key: value.detach().cpu().float().contiguous() for key, value in merged(sam).items()}
    config = carried_config(sam)
    _check(tensors, config, target)
    size = sam.prompt_encoder.img_size
    graphs = {} if config is None else _graphs(config, size)
    tensors |= {GRAPH + part: torch.from_numpy(np.frombuffer(data, np.uint8).copy()) for part, data in graphs.items()}
    described = Description(
        img_size=size,
        config=config,
        graphs={part: hashlib.sha256(data).hexdigest() for part, data in graphs.items()},
        names=tuple(names) if names is not None else None,
        about=dict(about or {}),
    )
    with atomic_path(target) as part:
        # Not safetensors' save_file, which leaves a file that its owner alone can read.
        part.write_bytes(save(tensors, described.to_metadata()))
    return target


def carried_config(sam: Sam) -> TinyVitConfig | None:
    """The widths of a student that the catalog has no graphs for; None where it has."""
    encoder = sam.image_encoder
    if not isinstance(encoder, TinyVit):
        return None
    is_in_catalog = encoder.config == STUDENTS["tiny_vit_5m"] and sam.prompt_encoder.img_size == 1024
    return None if is_in_catalog else encoder.config


def _check(tensors: Mapping[str, Tensor], config: TinyVitConfig | None, path: Path) -> None:
    """Before anything is written: a file that can't be read again would be found out too late."""
    shapes = {key: tuple(value.shape) for key, value in tensors.items() if not key.startswith(CLASSES)}
    if config is None:
        recognise(shapes, path)
    else:
        check(shapes, student_shapes(config), f"{path}: the model to save isn't a plain student")


@cache
def _graphs(config: TinyVitConfig, img_size: int) -> dict[str, bytes]:
    """Its own graphs, made from a model without weights: neither the trained one's mode nor its device matters."""
    if img_size not in SIZES:
        raise InputError(f"img_size must be a multiple of 32 between {SIZES[0]} and {SIZES[-1]}, got {img_size}.")
    for package in ("onnx", "onnxscript"):
        require(package, "export", "Saving a student")
    from ..export.graphs import graph, weightless  # noqa: PLC0415  # the packages above, only where they are there

    sam = weightless(config, img_size)
    return {part: graph(sam, part) for part in SIZED}
