"""ONNX Runtime: the second runtime without torch, and the one for CUDA without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from ..errors import BackendError, InputError
from ..types import F32
from .base import BackendInfo, encode_lying
from .checkpoint import Checkpoint
from .exported import Run
from .graph import with_initializers
from .manifest import Manifest
from .recent import ENCODERS, Recent

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxBackend:
    """Encoder and decoders as sessions, each made on its first use."""

    def __init__(self, checkpoint: Checkpoint, device: str, precision: str, threads: int | None) -> None:
        if precision in ("bf16", "int8"):
            raise InputError("Runtime onnx computes in fp32 only; use precision='fp32' or runtime='openvino'.")
        self._checkpoint = checkpoint
        self._provider = _provider("cpu" if device == "auto" else device)
        self._threads = threads
        self._sessions: Recent[ort.InferenceSession] = Recent()
        self._encoders: Recent[ort.InferenceSession] = Recent(ENCODERS)
        self.info = BackendInfo(
            runtime="onnx",
            device="cpu" if device == "auto" else device,
            precision="fp32",
            model_id=checkpoint.model_id,
            img_size=checkpoint.img_size,
            cuts=checkpoint.cuts,
        )

    def encode(self, image_bchw: F32) -> F32:
        """See `Backend.encode`."""
        return encode_lying(image_bchw, self._encode)

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """See `Backend.decode`."""
        (tokens,) = self._run(self._session("prompts"), {"coords": coords_bn2, "labels": labels_bn})
        inputs = {"features": features_bchw, "tokens": tokens}
        if mask_b1hw is None:
            logits, iou = self._run(self._session("decoder"), inputs)
        else:
            logits, iou = self._run(self._session("decoder_masked"), {**inputs, "mask": mask_b1hw})
        return logits, iou

    def _encode(self, part: str, turned: bool, image_bchw: F32) -> F32:
        name = f"{part}_turned" if turned else part
        session = self._encoders.get(name, lambda: self._build(part, turned=turned))
        (features,) = self._run(session, {"image": image_bchw})
        return features

    def _session(self, part: str) -> ort.InferenceSession:
        return self._sessions.get(part, lambda: self._build(part))

    @staticmethod
    def _run(session: ort.InferenceSession, inputs: dict[str, F32]) -> list[F32]:
        feeds = {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}
        try:
            outputs: list[F32] = session.run(None, feeds)
        except RuntimeError as error:
            raise BackendError(f"ONNX Runtime failed: {error}") from error
        return outputs

    def _build(self, part: str, *, turned: bool = False) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if self._threads:
            options.intra_op_num_threads = self._threads
        graph = self._checkpoint.graph(part)
        weights = self._checkpoint.weights(graph, turned=turned)
        values = [ort.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
        try:
            return ort.InferenceSession(with_initializers(graph, weights), options, providers=[self._provider])
        except RuntimeError as error:
            raise BackendError(f"ONNX Runtime can't load the {part}: {error}") from error


def _provider(device: str) -> str:
    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise BackendError(
            f"This ONNX Runtime has no {provider}; it has: {', '.join(ort.get_available_providers())}. "
            "For CUDA install onnxruntime-gpu in its place."
        )
    return provider


def load(checkpoint: Checkpoint, *, device: str, precision: str, threads: int | None) -> OnnxBackend:
    """Called by `mobilesam.backends.load`."""
    return OnnxBackend(checkpoint, device, precision, threads)


def devices() -> list[str]:
    """The devices that this ONNX Runtime has providers for."""
    return [device for device, provider in PROVIDERS.items() if provider in ort.get_available_providers()]


def open_parts(folder: Path, _: Manifest, threads: int | None) -> tuple[Run, Run]:
    """Called by `mobilesam.backends.exported`."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads

    def opened(part: str) -> Run:
        try:
            session = ort.InferenceSession(folder / f"{part}.onnx", options, providers=["CPUExecutionProvider"])
        except RuntimeError as error:
            raise BackendError(f"ONNX Runtime can't load the {part} in {folder}: {error}") from error
        names = [value.name for value in session.get_inputs()]

        def run(inputs: Sequence[F32]) -> list[F32]:
            try:
                outputs: list[F32] = session.run(None, dict(zip(names, inputs, strict=True)))
            except RuntimeError as error:
                raise BackendError(f"ONNX Runtime failed: {error}") from error
            return outputs

        return run

    return opened("encoder"), opened("decoder")
