"""Models as files: weight-free graphs for our runtimes, ONNX files for other programs. Needs the export extra."""

from __future__ import annotations

from pathlib import Path

from .._optional import require


def export_onnx(model: str | Path, folder: str | Path, *, layout: str = "meta") -> list[Path]:
    """`onnx.export_onnx`, or MissingDependencyError with the line that installs what it needs."""
    for package in ("torch", "onnx", "onnxscript", "onnxruntime"):
        require(package, "export", "Exporting")
    from . import onnx  # noqa: PLC0415  # the packages above, only where they are there

    return onnx.export_onnx(model, folder, layout=layout)
