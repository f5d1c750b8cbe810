"""ExecuTorch: exported folders on a CPU, through XNNPACK. Its Python runtime needs torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from executorch.runtime import Runtime

from ..errors import BackendError
from ..types import F32
from .exported import Run


def open_parts(folder: Path, _manifest: object, _threads: int | None) -> tuple[Run, Run]:
    """Encoder and decoder of an export to executorch. Raises BackendError where ExecuTorch can't load them.

    The number of threads is the process's own (one a core); ExecuTorch has no safe way to change it.
    """
    return _Part(folder, "encoder"), _Part(folder, "decoder")


class _Part:
    """One program's only method, which one thread at a time may use."""

    def __init__(self, folder: Path, part: str) -> None:
        self._part = part
        self._lock = threading.Lock()
        try:
            self._program = Runtime.get().load_program(folder / f"{part}.pte")
            self._method: Any = self._program.load_method("forward")
        except (RuntimeError, ValueError, OSError) as error:
            raise BackendError(f"ExecuTorch can't load the {part} in {folder}: {error}") from error

    def __call__(self, inputs: Sequence[F32]) -> list[F32]:
        try:
            with self._lock:
                made = self._method.execute([torch.from_numpy(array) for array in inputs])
                return [tensor.numpy().copy() for tensor in made]  # the next call overwrites the method's memory
        except RuntimeError as error:
            raise BackendError(f"ExecuTorch failed in the {self._part}: {error}") from error
