"""Options that several commands share, and what they are written as."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ..errors import InputError

Sources: TypeAlias = Annotated[list[str], typer.Argument(help="Photos, folders or globs.", show_default=False)]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File to write; a folder where there are several photos."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the masks as JSON, one line a photo.")]
Resume: TypeAlias = Annotated[
    bool, typer.Option("--resume", help="Skip photos whose file in the output folder exists.")
]
Model: TypeAlias = Annotated[
    str, typer.Option("--model", help="Name of a model (see `mobilesam models`) or a weights file.")
]
Runtime: TypeAlias = Annotated[str, typer.Option("--runtime", help="auto, openvino, onnx or pytorch.")]
Device: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, gpu or npu.")]
Precision: TypeAlias = Annotated[str, typer.Option("--precision", help="auto, fp32, bf16 or int8.")]
Padding: TypeAlias = Annotated[str, typer.Option("--padding", help="auto, skip or full: the blank rest of the square.")]
Threads: TypeAlias = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads of the runtime.")]


def numbers(text: str, what: str, count: int | None = None) -> list[float]:
    """Numbers separated by commas: "300,200" -> [300.0, 200.0].

    Raises InputError where they aren't numbers or not `count` of them.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{what} {text!r} must be numbers separated by commas, like 300,200.") from error
    if count is not None and len(values) != count:
        raise InputError(f"{what} {text!r} must be {count} numbers, got {len(values)}.")
    return values


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split())
