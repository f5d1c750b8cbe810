"""OpenVINO: the default on a CPU. Compiled models are kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from .. import settings
from ..errors import BackendError, InputError
from ..files import write_bytes
from ..types import F32, AnyArray
from .base import BackendInfo, encode_lying
from .checkpoint import Checkpoint
from .exported import Run
from .graph import with_inputs
from .manifest import Manifest
from .openvino_int8 import Ranges, is_fast_here, measured, quantize
from .recent import ENCODERS, Recent

log = logging.getLogger(__name__)

CLICK, GRID, ANY = (1, 2), (8, 2), (-1, -1)
"""Prompts and tokens of a decoder: a click or box, many of them, any. Fixed shapes are a tenth faster."""
STREAMS = 4
"""At most so many batches side by side: a core each is a tenth faster than all cores on one batch, and takes
memory for each."""


class OpenVinoBackend:
    """Encoder and decoders as compiled models, each made once, when it is first needed."""

    def __init__(self, checkpoint: Checkpoint, device: str, precision: str, threads: int | None) -> None:
        self._checkpoint = checkpoint
        self._core = ov.Core()
        self._device = "CPU" if device == "auto" else device.upper()
        ranges = measured(checkpoint) if self._device == "CPU" and precision in ("auto", "int8") else None
        precision = _precision(self._core, self._device, precision, ranges)
        self._ranges = ranges if precision == "int8" else None
        self._config = _config(self._device, precision, threads)
        self._networks: Recent[Future[_Network]] = Recent()
        self._encoders: Recent[Future[_Network]] = Recent(ENCODERS)
        cores = threads or os.cpu_count() or 1
        streams = min(cores, STREAMS) if self._device == "CPU" else 1
        self.info = BackendInfo(
            runtime="openvino",
            device=self._device.lower(),
            precision=precision,
            model_id=checkpoint.model_id,
            img_size=checkpoint.img_size,
            streams=streams,
            cuts=checkpoint.cuts,
        )
        # What nearly every use needs is loaded side by side, while the caller still reads the photo.
        self._loader = ThreadPoolExecutor(3, thread_name_prefix="mobilesam-load")
        self._network("prompts")
        self._network("decoder", CLICK)

    def encode(self, image_bchw: F32) -> F32:
        """See `Backend.encode`."""
        return encode_lying(image_bchw, self._encode)

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """See `Backend.decode`."""
        (tokens,) = self._network("prompts").result().run([coords_bn2, labels_bn])
        inputs = [features_bchw, tokens]
        if mask_b1hw is not None:
            logits, iou = self._network("decoder_masked").result().run([*inputs, mask_b1hw])
        else:
            logits, iou = self._network("decoder", self._shape(features_bchw, labels_bn)).result().run(inputs)
        return logits, iou

    def _shape(self, features_bchw: F32, labels_bn: F32) -> tuple[int, ...] | None:
        """The decoder's fixed (B, N), or None for a map that isn't the encoder's whole one.

        Where the map's size is known, the positions of its cells are computed once, in float32.
        """
        if features_bchw.shape[-2:] != (self.info.img_size // 16,) * 2:
            return None
        return labels_bn.shape if labels_bn.shape in (CLICK, GRID) else ANY

    def _encode(self, part: str, turned: bool, image_bchw: F32) -> F32:
        name = f"{part}_turned" if turned else part
        network = self._encoders.get(
            name, lambda: self._loader.submit(lambda: _Network(self._compiled(part, name, turned=turned), 1))
        )
        (features,) = network.result().run([image_bchw])
        return features

    def _network(self, part: str, prompts: tuple[int, ...] | None = None) -> Future[_Network]:
        """The part, with its axes free or for (B, N) prompts on a whole map, ready or on its way."""
        name = part if prompts is None else f"{part}_{'x'.join('n' if n < 0 else str(n) for n in prompts)}"
        streams = 1 if prompts in (CLICK, ANY) or part != "decoder" else self.info.streams
        return self._networks.get(
            name, lambda: self._loader.submit(lambda: _Network(self._compiled(part, name, prompts, streams), streams))
        )

    def _compiled(
        self, part: str, name: str, prompts: tuple[int, ...] | None = None, streams: int = 1, *, turned: bool = False
    ) -> Any:
        """The part's compiled model, from the cache or into it."""
        config = dict(self._config)
        if part == "prompts":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        if streams > 1:
            config |= {"NUM_STREAMS": streams, "PERFORMANCE_HINT": "THROUGHPUT"}
        path = settings.cache_dir() / "compiled" / f"{name}-{self._key(part, config)}.blob"
        if path.is_file():
            try:
                return self._core.import_model(path.read_bytes(), self._device, config)
            except (RuntimeError, OSError) as error:
                log.info("%s can't be used (%s); compiling again", path, error)
        graph = self._checkpoint.graph(part)
        # They live until the model is compiled: nothing is copied before.
        weights = self._checkpoint.weights(graph, turned=turned)
        try:
            model = _with_constants(self._core.read_model(with_inputs(graph, weights)), weights)
            if self._ranges and part.startswith("encoder"):
                quantize(model, weights, self._ranges)
            if prompts is not None:
                side = self.info.img_size // 16
                model.reshape({"features": [1, 256, side, side], "tokens": [*prompts, 256]})
            compiled = self._core.compile_model(model, self._device, config)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO can't compile the {part} for {self._device}: {error}") from error
        try:
            write_bytes(path, compiled.export_model().getvalue())
        except (OSError, RuntimeError) as error:  # a read-only home, or a device without export
            log.info("the compiled %s isn't cached: %s", part, error)
        return compiled

    def _key(self, part: str, config: dict[str, Any]) -> str:
        """A hash over everything that decides whether a compiled model still fits."""
        facts = (
            self._checkpoint.digest,
            hashlib.sha256(self._checkpoint.graph(part)).hexdigest(),
            ov.get_version(),
            self._core.get_property(self._device, "FULL_DEVICE_NAME"),
            sorted(self._core.get_property(self._device, "OPTIMIZATION_CAPABILITIES")),
            sorted(config.items()),
            sorted((self._ranges or {}).items()) if part.startswith("encoder") else None,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


class _Network:
    """One compiled model with a request for each of its streams, each used by one thread at a time."""

    def __init__(self, compiled: Any, streams: int) -> None:
        self._outputs = len(compiled.outputs)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def run(self, inputs: Sequence[F32]) -> list[F32]:
        arrays: list[AnyArray] = [np.ascontiguousarray(array, np.float32) for array in inputs]
        request = self._requests.get()
        try:
            request.infer(arrays, share_inputs=True)
            # Copied while the request is ours: its memory is written again by the next call.
            return [request.get_output_tensor(i).data.copy() for i in range(self._outputs)]
        except RuntimeError as error:
            raise BackendError(f"OpenVINO failed: {error}") from error
        finally:
            self._requests.put(request)


def _with_constants(model: Any, weights: Mapping[str, AnyArray]) -> Any:
    """The model with constants in place of the inputs that stand for its weights."""
    for parameter in model.get_parameters():
        name = parameter.get_friendly_name()
        if name in weights:
            constant = ov.op.Constant(weights[name], shared_memory=True)
            constant.set_friendly_name(name)
            parameter.output(0).replace(constant.output(0))
            model.remove_parameter(parameter)
    return model


def _precision(core: Any, device: str, precision: str, ranges: Ranges | None) -> str:
    """What "auto" is here: bf16 where the processor has it, else int8 where that is fast and was measured."""
    _check_device(core, device)
    if precision == "int8" and not ranges:
        raise InputError(
            "int8 needs ranges that were measured on photos, which only the bundled weights have, on the CPU. "
            "For others: mobilesam export --format openvino --precision int8 --photos FOLDER, or leave out precision."
        )
    if precision != "auto":
        return precision
    if device == "CPU" and "BF16" in core.get_property(device, "OPTIMIZATION_CAPABILITIES"):
        return "bf16"
    return "int8" if ranges and is_fast_here() else "fp32"


def _check_device(core: Any, device: str) -> None:
    if device not in (name.split(".")[0] for name in core.available_devices):
        present = ", ".join(core.available_devices).lower()
        raise BackendError(f"OpenVINO sees no device {device.lower()!r} here; it sees: {present}.")


def _config(device: str, precision: str, threads: int | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    if device == "CPU":
        # Pinned, the threads of several processes stand on the same cores; one process alone is no faster for it.
        config |= {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
    return config


def load(checkpoint: Checkpoint, *, device: str, precision: str, threads: int | None) -> OpenVinoBackend:
    """Called by `mobilesam.backends.load`."""
    return OpenVinoBackend(checkpoint, device, precision, threads)


def devices() -> list[str]:
    """The devices that OpenVINO sees here."""
    return [name.lower() for name in ov.Core().available_devices]


def open_parts(folder: Path, _: Manifest, threads: int | None) -> tuple[Run, Run]:
    """Called by `mobilesam.backends.exported`. Computes in fp32, whatever the weights are stored as."""
    core = ov.Core()
    config = _config("CPU", "fp32", threads)

    def opened(part: str) -> Run:
        try:
            return _Network(core.compile_model(folder / f"{part}.xml", "CPU", config), 1).run
        except RuntimeError as error:
            raise BackendError(f"OpenVINO can't load the {part} in {folder}: {error}") from error

    return opened("encoder"), opened("decoder")
