"""MNN: exported folders on a CPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import MNN
import numpy as np

from ..errors import BackendError
from ..types import F32
from .exported import Run
from .names import INPUTS, OUTPUTS


def open_parts(folder: Path, _manifest: object, threads: int | None) -> tuple[Run, Run]:
    """Encoder and decoder of an export to mnn. Raises BackendError where MNN can't load them."""
    return _Part(folder, "encoder", threads), _Part(folder, "decoder", threads)


class _Part:
    """One module, which one thread at a time may use."""

    def __init__(self, folder: Path, part: str, threads: int | None) -> None:
        self._part = part
        self._lock = threading.Lock()
        path = folder / f"{part}.mnn"
        # "high" is single precision: on ARM the default is half, and clicks would be rounded up to half a pixel.
        config = {"backend": "CPU", "precision": "high", "numThread": threads or os.cpu_count() or 1}
        self._runtime = MNN.nn.create_runtime_manager((config,))
        names = list(INPUTS[part]), list(OUTPUTS[part])
        try:
            self._module = MNN.nn.load_module_from_file(str(path), *names, runtime_manager=self._runtime)
        except (SystemError, RuntimeError) as error:  # MNN raises the former, and says more on standard output
            raise BackendError(f"MNN can't load {path}: {error}") from error

    def __call__(self, inputs: Sequence[F32]) -> list[F32]:
        expr = MNN.expr
        try:
            with self._lock:
                given = [expr.const(array, list(array.shape), expr.NCHW) for array in inputs]
                made = self._module.forward(given)
                found = [np.array(expr.convert(value, expr.NCHW).read(), np.float32) for value in made]
        except (SystemError, RuntimeError, ValueError) as error:
            raise BackendError(f"MNN failed in the {self._part}: {error}") from error
        if len(found) != len(OUTPUTS[self._part]):  # of a wrong shape MNN says so on standard output, and gives nothing
            raise BackendError(f"MNN failed in the {self._part}: no output for inputs of {[a.shape for a in inputs]}.")
        return found
