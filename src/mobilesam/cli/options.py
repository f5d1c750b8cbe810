"""Options that several commands share, and what they are written as."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from ..errors import InputError

Model: TypeAlias = Annotated[
    str, typer.Option("--model", help="Name of a model (see `mobilesam models`) or a weights file.")
]
Runtime: TypeAlias = Annotated[str, typer.Option("--runtime", help="auto, openvino, onnx or pytorch.")]
Device: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, gpu or npu.")]
Precision: TypeAlias = Annotated[str, typer.Option("--precision", help="auto, fp32 or bf16.")]
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
