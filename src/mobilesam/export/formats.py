"""The table of formats that a model can be exported to."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from .._optional import require
from ..errors import InputError
from .networks import Networks

PRECISIONS = {
    "fp32": "weights and arithmetic in single precision",
    "fp16": "weights stored in half precision; half the size",
    "int8": "the format's best 8-bit form: a quarter of the size",
    "int8-weights": "weights alone in 8 bits",
}


@dataclass(frozen=True)
class Format:
    """What a model can be exported to."""

    name: str
    for_whom: str
    needs: tuple[str, ...]
    """Packages that the converter imports."""
    extra: str
    """Our extra that installs them."""
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")
    is_fixed: bool = False
    """True where the decoder takes one prompt of a fixed number of points."""
    needs_photos: tuple[str, ...] = ()
    """Precisions that look at photos to find the ranges of values."""

    def convert(self, networks: Networks, folder: Path, *, precision: str) -> None:
        """Write encoder and decoder into `folder`. Raises MissingDependencyError, ExportError."""
        for package in self.needs:
            require(package, self.extra, f"Export to {self.name}")
        module = importlib.import_module(f"mobilesam.export.to.{self.name.replace('-', '_')}")
        convert = cast(Callable[..., None], module.convert)
        convert(networks, folder, precision=precision)


FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format(
            "onnx",
            "ONNX Runtime everywhere, browsers, and most converters",
            ("onnx", "onnxscript", "onnxruntime"),
            "export",
            ("fp32", "fp16", "int8", "int8-weights"),
        ),
        Format(
            "openvino",
            "Intel CPUs, GPUs and NPUs",
            ("openvino", "onnx", "onnxscript"),
            "export",
            ("fp32", "fp16", "int8", "int8-weights"),
            needs_photos=("int8",),
        ),
        Format(
            "web",
            "a static page that segments in the browser, onnxruntime-web inside; needs npm once",
            ("onnx", "onnxscript", "onnxruntime"),
            "export",
        ),
        Format("torchscript", "LibTorch in C++", ("torch",), "torch", ("fp32",)),
        Format("torch-export", "PyTorch 2 (AOTInductor, ExecuTorch, compilers)", ("torch",), "torch", ("fp32",)),
        Format(
            "litert",
            "Android, iOS, small boards (TensorFlow Lite)",
            ("litert_torch", "ai_edge_quantizer", "ai_edge_litert"),
            "export-litert",
            is_fixed=True,
        ),
        Format("ncnn", "phones and small boards", ("pnnx", "ncnn"), "export-ncnn", ("fp32", "fp16"), is_fixed=True),
        Format("mnn", "phones", ("MNN", "onnx", "onnxscript"), "export-mnn", is_fixed=True),
        Format(
            "executorch",
            "phones, PyTorch's own runtime",
            ("executorch", "torchao"),
            "export-executorch",
            ("fp32", "int8"),
            is_fixed=True,
        ),
        Format("coreml", "iPhones, iPads and Macs", ("coremltools",), "export-coreml", is_fixed=True),
        Format(
            "tensorrt",
            "NVIDIA GPUs, on the machine that has one",
            ("tensorrt", "onnx", "onnxscript"),
            "export-tensorrt",
            ("fp32", "fp16"),
        ),
    )
}


def find(name: str, precision: str) -> Format:
    """The format, where it has that precision. Raises InputError with what there is."""
    if name not in FORMATS:
        raise InputError(f"Unknown format {name!r}; choose one of: {', '.join(FORMATS)}.")
    chosen = FORMATS[name]
    if precision not in chosen.precisions:
        raise InputError(f"Format {name} has no precision {precision!r}; it has: {', '.join(chosen.precisions)}.")
    return chosen
