"""LiteRT (TensorFlow Lite): exported folders on a CPU, through XNNPACK."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from ..errors import BackendError
from ..types import F32
from .exported import Run
from .names import INPUTS, OUTPUTS


def open_parts(folder: Path, _manifest: object, threads: int | None) -> tuple[Run, Run]:
    """Encoder and decoder of an export to litert. Raises BackendError where LiteRT can't load them."""
    return _Part(folder, "encoder", threads), _Part(folder, "decoder", threads)


class _Part:
    """One file's interpreter, which one thread at a time may use."""

    def __init__(self, folder: Path, part: str, threads: int | None) -> None:
        self._part = part
        self._lock = threading.Lock()
        try:
            interpreter = Interpreter(str(folder / f"{part}.tflite"), num_threads=threads or os.cpu_count())
            self._signature: Any = interpreter.get_signature_runner()
        except (RuntimeError, ValueError, OSError) as error:
            raise BackendError(f"LiteRT can't load the {part} in {folder}: {error}") from error

    def __call__(self, inputs: Sequence[F32]) -> list[F32]:
        feeds = dict(zip(INPUTS[self._part], inputs, strict=True))
        try:
            with self._lock:
                outputs = self._signature(**feeds)  # copies, not views of the interpreter's memory
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"LiteRT failed in the {self._part}: {error}") from error
        return [outputs[name] for name in OUTPUTS[self._part]]
