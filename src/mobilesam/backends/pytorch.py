"""PyTorch, eager: CPU, CUDA and Apple's MPS. The only backend that runs the networks of `nn` themselves."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import BackendError, InputError
from ..nn.checkpoint import load_sam
from ..nn.cut import CutTinyVit
from ..nn.fuse import quicken
from ..nn.tiny_vit import TinyVit
from ..types import F32
from .base import BackendInfo, encode_lying
from .checkpoint import Checkpoint, turn
from .exported import Run
from .manifest import Manifest

EMBEDDING_CHANNELS = 256


class PyTorchBackend:
    """`nn.Sam` in evaluation mode on one device."""

    def __init__(self, checkpoint: Checkpoint, device: str, precision: str, threads: int | None) -> None:
        self._device = _device(device)
        self._dtype = _dtype(self._device, precision)
        self._threads = threads
        self.sam = load_sam(checkpoint.architecture, checkpoint.img_size, checkpoint.state())
        self.sam.to(self._device).eval().requires_grad_(False)
        encoder = self.sam.image_encoder
        # A copy, so that `sam` stays what the checkpoint says; a ViT has nothing to fold and may be gigabytes.
        self._encoder = quicken(copy.deepcopy(encoder)) if isinstance(encoder, TinyVit) else encoder
        self.info = BackendInfo(
            runtime="pytorch",
            device=str(self._device),
            precision="fp32" if self._dtype is None else "bf16",
            model_id=checkpoint.model_id,
            img_size=checkpoint.img_size,
            cuts=checkpoint.cuts,
        )
        self._cut_encoders: dict[bool, nn.Module] = {}
        self._sent: tuple[Callable[[], F32 | None] | None, Tensor] = (None, torch.empty(0))

    def encode(self, image_bchw: F32) -> F32:
        """See `Backend.encode`."""
        return encode_lying(image_bchw, self._encode)

    def _encode(self, part: str, turned: bool, image_bchw: F32) -> F32:
        encoder = self._encoder if part == "encoder" else self._cut_encoder(turned)
        (features,) = self._run(lambda image: (encoder(image),), image_bchw)
        return features

    def _cut_encoder(self, turned: bool) -> nn.Module:
        if turned not in self._cut_encoders:
            encoder = self._turned_encoder() if turned else self._encoder
            self._cut_encoders[turned] = CutTinyVit(cast(TinyVit, encoder))
        return self._cut_encoders[turned]

    def _turned_encoder(self) -> nn.Module:
        encoder = copy.deepcopy(self.sam.image_encoder)
        encoder.load_state_dict({key: turn(key, value.clone()) for key, value in encoder.state_dict().items()})
        return quicken(encoder)

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """See `Backend.decode`."""
        masks = () if mask_b1hw is None else (mask_b1hw,)
        logits, iou = self._run(self.sam.decode, features_bchw, coords_bn2, labels_bn, *masks)
        return logits, iou

    def _run(self, function: Callable[..., tuple[Tensor, ...]], *arrays: F32) -> list[F32]:
        autocast = torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None)
        try:
            tensors = [self._there(array) for array in arrays]
            with torch.inference_mode(), autocast, _threads(self._threads):
                outputs = function(*tensors)
            return [output.float().cpu().numpy() for output in outputs]
        except RuntimeError as error:
            raise BackendError(f"PyTorch failed on {self._device}: {error}") from error

    def _there(self, array: F32) -> Tensor:
        """The array on the device. An embedding stays there until another one comes: a photo gets many calls."""
        sent, tensor = self._sent
        if sent is not None and sent() is array:
            return tensor
        tensor = torch.as_tensor(np.ascontiguousarray(array, np.float32), device=self._device)
        if array.ndim == 4 and array.shape[1] == EMBEDDING_CHANNELS and self._device.type != "cpu":
            self._sent = (weakref.ref(array), tensor)
        return tensor


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """PyTorch's thread count is the process's own; it is set for the call and put back."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError("PyTorch sees no CUDA device here; use device='cpu' or a CUDA build of torch.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BackendError("PyTorch sees no MPS device here; use device='cpu'.")
    return device


def _dtype(device: torch.device, precision: str) -> torch.dtype | None:
    """The autocast type, or None for fp32. "auto" is bf16 on CUDA cards that have it, else fp32."""
    if precision == "int8":
        raise InputError("Runtime pytorch computes in fp32 or bf16; for int8 use runtime='openvino'.")
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


def load(checkpoint: Checkpoint, *, device: str, precision: str, threads: int | None) -> PyTorchBackend:
    """Called by `mobilesam.backends.load`."""
    return PyTorchBackend(checkpoint, device, precision, threads)


def devices() -> list[str]:
    """The devices that PyTorch sees here."""
    cuda = [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def open_parts(folder: Path, manifest: Manifest, threads: int | None) -> tuple[Run, Run]:
    """Called by `mobilesam.backends.exported`: TorchScript and torch.export programs, on the CPU."""

    def opened(part: str) -> Run:
        try:
            if manifest.format == "torchscript":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # LibTorch's users still need the format
                    network = torch.jit.load(folder / f"{part}.pt", map_location="cpu")  # type: ignore[no-untyped-call]
            else:
                network = torch.export.load(folder / f"{part}.pt2").module()
        except (RuntimeError, ValueError, OSError) as error:
            raise BackendError(f"PyTorch can't load the {part} in {folder}: {error}") from error

        def run(inputs: Sequence[F32]) -> list[F32]:
            try:
                with torch.inference_mode(), _threads(threads):
                    outputs = network(*map(torch.from_numpy, inputs))
            except RuntimeError as error:
                raise BackendError(f"PyTorch failed: {error}") from error
            return [out.numpy() for out in (outputs if isinstance(outputs, tuple) else (outputs,))]

        return run

    return opened("encoder"), opened("decoder")
