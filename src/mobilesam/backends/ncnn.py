"""ncnn: exported folders on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ncnn
import numpy as np

from ..errors import BackendError
from ..types import F32
from .exported import Run


def open_parts(folder: Path, _manifest: object, threads: int | None) -> tuple[Run, Run]:
    """Encoder and decoder of an export to ncnn. Raises BackendError where ncnn can't load them."""
    return _Part(folder, "encoder", 1, threads), _Part(folder, "decoder", 2, threads)


class _Part:
    """One network. It is only read while it runs; each call has its own extractor."""

    def __init__(self, folder: Path, part: str, outputs: int, threads: int | None) -> None:
        self._part = part
        self._outputs = outputs
        self._net = ncnn.Net()
        options = self._net.opt
        if threads:
            options.num_threads = threads
        # On ARM these are on: clicks would be rounded to half precision, up to half a pixel of 1024.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        for load, suffix in ((self._net.load_param, "param"), (self._net.load_model, "bin")):
            path = folder / f"{part}.ncnn.{suffix}"
            if load(str(path)) != 0:
                raise BackendError(f"ncnn can't load {path}: it doesn't know a layer, or the file isn't whole.")

    def __call__(self, inputs: Sequence[F32]) -> list[F32]:
        extractor = self._net.create_extractor()
        for i, array in enumerate(inputs):
            # ncnn knows no batch: the first axis, of size 1, isn't there.
            fed = extractor.input(f"in{i}", ncnn.Mat(array[0] if array.ndim > 1 else array).clone())
            self._check(fed, f"input {i}")
        found = []
        for i in range(self._outputs):
            code, output = extractor.extract(f"out{i}")
            self._check(code, f"output {i}")
            found.append(np.array(output, np.float32)[None])
        return found

    def _check(self, code: int, what: str) -> None:
        if code != 0:
            raise BackendError(f"ncnn failed at {what} of the {self._part} with code {code}: not enough memory?")
