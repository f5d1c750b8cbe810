"""`mobilesam export`: files for other runtimes and other programs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
Examples:

    mobilesam export -o onnx/

    mobilesam export my.safetensors --format openvino --precision fp16 -o openvino/

    mobilesam export --format openvino --precision fp32,fp16,int8 --photos photos/ -o openvino/

    mobilesam export --format web -o page/

    mobilesam export --layout anylabeling -o anylabeling/
"""


class LayoutChoice(str, Enum):
    """Whose names, shapes and preprocessing the files have."""

    meta = "meta"
    anylabeling = "anylabeling"
    osam = "osam"


def _list(wanted: bool) -> None:
    if not wanted:
        return
    from ..export.formats import FORMATS

    for item in FORMATS.values():
        typer.echo(f"{item.name:14} {', '.join(item.precisions):36} {item.for_whom}")
    raise typer.Exit


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.", show_default=False)],
    model: Annotated[str, typer.Argument(help="Name of a model or a weights file.")] = "mobilesam",
    format: Annotated[str, typer.Option("--format", "-f", help="For which runtime; --list names them.")] = "onnx",  # noqa: A002  # the option's name
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, int8 or int8-weights, as the format has it; several (a,b,c) are compared.")
    ] = "fp32",
    points: Annotated[
        int | None,
        typer.Option(help="Tokens of a decoder of fixed shape: a box is two, clicks one more than they are."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos to measure ranges on, where int8 needs it.")
    ] = None,
    layout: Annotated[
        LayoutChoice | None, typer.Option(help="ONNX as other programs read it, in place of our contract.")
    ] = None,
    _: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Name formats and precisions, and stop.")
    ] = False,
) -> None:
    """Write a model as files for a runtime or a program, after running them on a photo against the model."""
    from ..export import export

    chosen = layout.value if layout else None
    written = export(model, output, format=format, layout=chosen, precision=precision, points=points, photos=photos)
    for path in written:
        typer.echo(f"wrote {path}  {path.stat().st_size / 1e6:.1f} MB")
    typer.echo(written[-1].read_text(encoding="utf-8") if written[-1].suffix == ".md" else _verdict(written[-1]))


def _verdict(manifest: Path) -> str:
    """What the comparison with the model gave, in one line."""
    import json

    found = json.loads(manifest.read_text(encoding="utf-8"))
    if "lowest_mask_iou_against_model" in found:
        return f"lowest mask IoU to the model on the test photo: {found['lowest_mask_iou_against_model']:.4f}"
    parity = found["parity"]
    if not parity["verified"]:
        return str(parity["why"])
    return (
        f"mask IoU to the model over {parity['prompts']} prompts: mean {parity['mean_iou']:.4f}, lowest "
        f"{parity['min_iou']:.4f}; encode {parity['encode_ms']:.0f} ms, click {parity['decode_ms']:.0f} ms"
    )
