"""The machine: what it is, and what its matrix products reach."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, settings

SIDE = 2048
TRIES = 5
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")
PACKAGES = ("openvino", "onnxruntime", "torch", "numpy")


def describe() -> str:
    """Processor, cores, memory, system, versions; one line."""
    versions = [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    return (
        f"{_processor()}; {settings.cores()} cores, {_memory()}; {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}, mobilesam {__version__}, {', '.join(versions)}"
    )


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 matrices, as OpenVINO sees it."""
    import openvino as ov

    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


_PRODUCT: list[Any] = []


def matmul_rate() -> float:
    """GFLOP/s of a square matrix product in the fastest float type (bf16, else fp32): the best of a few tries."""
    if not _PRODUCT:
        _PRODUCT.append(_product())
    request, x = _PRODUCT[0]
    best = float("inf")
    for _ in range(TRIES):
        start = time.perf_counter()
        request.infer([x], share_inputs=True)
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best / 1e9


def _product() -> tuple[Any, Any]:
    import openvino as ov
    from openvino import opset13

    random = np.random.default_rng(0)
    x, weight = (random.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    given = opset13.parameter([SIDE, SIDE], np.float32)
    model = ov.Model([opset13.matmul(given, opset13.constant(weight), False, False)], [given])
    config = {"INFERENCE_PRECISION_HINT": "bf16" if has_bf16() else "f32", "NUM_STREAMS": 1}
    return ov.Core().compile_model(model, "CPU", config).create_infer_request(), x


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    found = {key.strip().lower(): value.strip() for key, value in fields.items()}
    flags = set((found.get("flags") or found.get("features") or "").split())
    return ", ".join([found.get("model name", platform.machine()), *(flag for flag in FLAGS if flag in flags)])


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "memory unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
