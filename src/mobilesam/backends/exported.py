"""Exported folders on the runtimes that read them, behind the same two calls as every model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from .._optional import require
from ..errors import BackendError, InputError
from ..types import F32
from .base import BackendInfo
from .manifest import Manifest

ABSENT = -2
"""Label of a token that isn't there: what fills a prompt up to a decoder's fixed number of points."""

Run = Callable[[Sequence[F32]], list[F32]]
"""One network: inputs and outputs in the contract's order."""


@dataclass(frozen=True)
class Reader:
    """The runtime of a format; its module has `open_parts(folder, manifest, threads)`."""

    runtime: str
    package: str
    extra: str | None
    device: str = "cpu"

    @property
    def module(self) -> str:
        """Where its backend is."""
        return f"mobilesam.backends.{self.runtime}"


READERS: dict[str, Reader] = {
    "onnx": Reader("onnx", "onnxruntime", "onnx"),
    "web": Reader("onnx", "onnxruntime", "onnx"),  # the pair of the page
    "openvino": Reader("openvino", "openvino", None),
    "torchscript": Reader("pytorch", "torch", "torch"),
    "torch-export": Reader("pytorch", "torch", "torch"),
    "litert": Reader("litert", "ai_edge_litert", "litert"),
    "ncnn": Reader("ncnn", "ncnn", "ncnn"),
    "mnn": Reader("mnn", "MNN", "mnn"),
    "executorch": Reader("executorch", "executorch", "executorch"),
}
"""Format -> what runs it here."""


class ExportedBackend:
    """An exported encoder and decoder. One of fixed shape gets its prompts one by one, filled up with absent tokens."""

    def __init__(self, folder: Path, manifest: Manifest, encoder: Run, decoder: Run) -> None:
        self._folder = folder
        self._manifest = manifest
        self._encoder, self._decoder = encoder, decoder
        reader = READERS[manifest.format]
        self.info = BackendInfo(
            runtime=reader.runtime if reader.runtime != "pytorch" else f"pytorch ({manifest.format})",
            device=reader.device,
            precision=manifest.precision,
            model_id=manifest.model_id,
            img_size=manifest.img_size,
            whole_maps_only=True,
        )

    def encode(self, image_bchw: F32) -> F32:
        """See `Backend.encode`."""
        (features,) = self._encoder([_plain(image_bchw)])
        return features

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """See `Backend.decode`."""
        low = self._manifest.img_size // 4
        masks = np.zeros((len(labels_bn), 1, low, low), np.float32) if mask_b1hw is None else mask_b1hw
        coords_bn2, labels_bn = self._filled(coords_bn2, labels_bn)
        has_mask = np.array([mask_b1hw is not None], np.float32)
        step = self._manifest.prompts or len(labels_bn)
        answers = [
            self._decoder(
                [_plain(part) for part in (features_bchw, coords_bn2[i:j], labels_bn[i:j], masks[i:j], has_mask)]
            )
            for i, j in ((i, i + step) for i in range(0, len(labels_bn), step))
        ]
        logits, iou = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        return logits, iou

    def _filled(self, coords_bn2: F32, labels_bn: F32) -> tuple[F32, F32]:
        points, count = self._manifest.points, labels_bn.shape[1]
        if points is None:
            # Absent tokens stand for none at all, which some runtimes can't have on an axis.
            points = max(count, 1)
        if count > points:
            raise BackendError(
                f"{self._folder} was exported for up to {points} points (a box is two, clicks without a box are one "
                f"more), got {count}. Export it with more: --points {count}."
            )
        fill = ((0, 0), (0, points - count))
        return np.pad(coords_bn2, (*fill, (0, 0))), np.pad(labels_bn, fill, constant_values=ABSENT)


def load_folder(folder: Path, *, threads: int | None = None) -> ExportedBackend:
    """The backend of a folder that `mobilesam export` has written.

    Raises InputError for another folder or a format that doesn't run here, CheckpointError for a damaged one,
    MissingDependencyError without its runtime, BackendError where that refuses.
    """
    manifest = Manifest.read(folder)
    reader = READERS.get(manifest.format)
    if reader is None:
        raise InputError(
            f"{folder} is an export to {manifest.format}, which no runtime here reads; these do: {', '.join(READERS)}."
        )
    require(reader.package, reader.extra, f"Running an export to {manifest.format}")
    manifest.check(folder)
    module = importlib.import_module(reader.module)
    open_parts = cast(Callable[[Path, Manifest, "int | None"], tuple[Run, Run]], module.open_parts)
    return ExportedBackend(folder, manifest, *open_parts(folder, manifest, threads))


def _plain(array: F32) -> F32:
    return np.ascontiguousarray(array, np.float32)
