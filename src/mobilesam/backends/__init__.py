"""The runtimes: a table of them, and `load`, which imports only the one that is used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from .. import settings
from .._optional import require
from ..errors import InputError, MissingDependencyError
from ..types import Precision
from .base import Backend, BackendInfo
from .checkpoint import Checkpoint

__all__ = ["RUNTIMES", "Backend", "BackendInfo", "Checkpoint", "Runtime", "choose", "installed", "load"]


@dataclass(frozen=True)
class Runtime:
    """A runtime that can run every model of the catalog."""

    name: str
    module: str
    package: str
    extra: str | None
    """Our extra that installs it; None where the plain install does."""
    devices: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """True where the package can be found; nothing is imported."""
        return importlib.util.find_spec(self.package) is not None

    def present_devices(self) -> list[str]:
        """The devices that this runtime sees on this machine; imports the runtime."""
        names: list[str] = importlib.import_module(self.module).devices()
        return names


RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (  # in the order in which "auto" takes them on a CPU: the fastest first
        Runtime("openvino", "mobilesam.backends.openvino", "openvino", None, ("cpu", "gpu", "npu")),
        Runtime("onnx", "mobilesam.backends.onnx", "onnxruntime", "onnx", ("cpu", "cuda")),
        Runtime("pytorch", "mobilesam.backends.pytorch", "torch", "torch", ("cpu", "cuda", "mps")),
    )
}
PRECISIONS = ("auto", "fp32", "bf16", "int8")


def installed() -> list[str]:
    """Names of the runtimes that are installed, the fastest first."""
    return [name for name, runtime in RUNTIMES.items() if runtime.is_installed]


def choose(runtime: str = "auto", device: str = "auto") -> Runtime:
    """The runtime that serves this wish.

    "auto" takes MOBILESAM_RUNTIME, else for a device that only PyTorch serves, or where PyTorch sees an
    NVIDIA GPU, pytorch; else the first installed of `RUNTIMES`.
    Raises InputError for an unknown name, MissingDependencyError where it isn't installed.
    """
    kind = device.split(":", maxsplit=1)[0].lower()
    if runtime == "auto":
        runtime = settings.preferred_runtime() or _automatic(kind)
    if runtime not in RUNTIMES:
        raise InputError(f"Unknown runtime {runtime!r}; choose one of: auto, {', '.join(RUNTIMES)}.")
    chosen = RUNTIMES[runtime]
    if kind != "auto" and kind not in chosen.devices:
        raise InputError(f"Runtime {runtime} has no device {device!r}; it has: {', '.join(chosen.devices)}.")
    require(chosen.package, chosen.extra, f"Runtime {runtime}")
    return chosen


def _automatic(kind: str) -> str:
    present = installed()
    if kind == "auto" and "pytorch" in present and _sees_cuda():
        return "pytorch"
    if kind in ("cuda", "mps"):
        return "pytorch"
    for name in present:
        if kind == "auto" or kind in RUNTIMES[name].devices:
            return name
    if not present:
        raise MissingDependencyError(
            "No runtime is installed. Install one with: pip install openvino (or 'mobilesam[onnx]', 'mobilesam[torch]')"
        )
    raise InputError(f"No installed runtime has the device {kind!r}; installed: {', '.join(present)}.")


def _sees_cuda() -> bool:
    """True with an NVIDIA GPU that PyTorch can use; torch is imported only where the driver is there."""
    drivers = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("C:/Windows/System32/nvcuda.dll"))
    if not any(driver.exists() for driver in drivers):
        return False
    return bool(importlib.import_module("torch").cuda.is_available())


def load(
    checkpoint: Checkpoint,
    *,
    runtime: str = "auto",
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
) -> Backend:
    """A checkpoint on a runtime.

    Raises InputError for an unknown runtime, device or precision, MissingDependencyError for a missing
    package, CheckpointError for a wrong file, BackendError where the runtime refuses.
    """
    if precision not in PRECISIONS:
        raise InputError(f"Unknown precision {precision!r}; choose one of: {', '.join(PRECISIONS)}.")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be 1 or more, got {threads}.")
    chosen = choose(runtime, device)
    module = importlib.import_module(chosen.module)
    build = cast(Callable[..., Backend], module.load)
    return build(checkpoint, device=device.lower(), precision=precision, threads=threads)
