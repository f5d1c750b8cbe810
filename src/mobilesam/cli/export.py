"""`mobilesam export`: ONNX files for other programs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
Examples:

    mobilesam export --layout anylabeling -o anylabeling/

    mobilesam export mobile_sam.pt --layout meta -o onnx/
"""


class LayoutChoice(str, Enum):
    """Whose names, shapes and preprocessing the files have."""

    meta = "meta"
    anylabeling = "anylabeling"
    osam = "osam"


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.", show_default=False)],
    model: Annotated[str, typer.Argument(help="Name of a model or a weights file.")] = "mobilesam",
    layout: Annotated[LayoutChoice, typer.Option(help="Which programs the files are for.")] = LayoutChoice.meta,
) -> None:
    """Write a model as ONNX files that other programs read, after trying them on a photo."""
    from ..export import export_onnx

    for path in export_onnx(model, output, layout=layout.value):
        typer.echo(f"wrote {path}  {path.stat().st_size / 1e6:.1f} MB")
