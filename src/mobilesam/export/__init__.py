"""Models as files: weight-free graphs for our runtimes, and everything that other runtimes and programs read."""

from __future__ import annotations

from pathlib import Path

from .._optional import require
from ..errors import InputError


def export(
    model: str | Path,
    folder: str | Path,
    *,
    format: str = "onnx",  # noqa: A002  # what everyone calls it
    layout: str | None = None,
    precision: str = "fp32",
    points: int | None = None,
    photos: str | Path | None = None,
) -> list[Path]:
    """`bundle.export_format`; for several precisions ("fp32,fp16,int8") `compare.compare`; with a layout of other
    programs `layouts.export_layout`.

    Raises what they raise, InputError for options that don't go together.
    """
    if format == "anylabeling":  # a bundle for two programs: users look for it among the formats
        format, layout = "onnx", layout or "anylabeling"  # noqa: A001  # as above
    if layout is not None and (format, precision, points, photos) != ("onnx", "fp32", None, None):
        raise InputError("A layout of other programs is ONNX in fp32: leave out format, precision, points and photos.")
    require("torch", "export" if format == "onnx" else "torch", "Exporting")
    if layout is not None:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            require(package, "export", "Exporting")
        from . import layouts  # noqa: PLC0415  # the packages above, only where they are there

        return layouts.export_layout(model, folder, layout=layout)
    from . import bundle, compare, networks  # noqa: PLC0415  # as above

    points = networks.POINTS if points is None else points
    if "," in precision:
        names = [name.strip() for name in precision.split(",")]
        return compare.compare(model, folder, format=format, precisions=names, points=points, photos=photos)
    return bundle.export_format(model, folder, format=format, precision=precision, points=points, photos=photos)
