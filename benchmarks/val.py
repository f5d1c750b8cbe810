"""What `mobilesam val` adds to the bare encodes and decodes of its run.

    python benchmarks/val.py DATA [--protocol box,center] [--limit N]

Photo by photo, in turn: the run measures it (reading, encoding, decoding, true masks, errors, IoU, journal), and
then the same encode and the same decodes are made bare, on tensors and prompts that are ready. Printed are both
times and their ratio; the embedding cache starts empty and is written to, as in a first run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobilesam import SAM
from mobilesam.embedding import Embedding
from mobilesam.evaluate import datasets, protocols
from mobilesam.evaluate.protocols import Options
from mobilesam.evaluate.run import Job, measure
from mobilesam.predictor import Predictor
from mobilesam.prompts import Prompt


class Recording(Predictor):
    """Remembers what it encodes and decodes."""

    def __init__(self, backend: Any) -> None:
        super().__init__(_RecordingBackend(backend))
        self.prompts: list[tuple[Embedding, list[Prompt]]] = []

    def decoded(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Iterator[Any]:
        self.prompts.append((embedding, list(prompts)))
        return super().decoded(embedding, prompts)


class _RecordingBackend:
    def __init__(self, backend: Any) -> None:
        self.info, self.decode, self._encode = backend.info, backend.decode, backend.encode
        self.tensors: list[np.ndarray] = []

    def encode(self, image_bchw: np.ndarray) -> np.ndarray:
        self.tensors.append(image_bchw)
        return self._encode(image_bchw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--protocol", default="box,center")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    backend = SAM().predictor.backend
    recording, bare = Recording(backend), Predictor(backend)
    run_s = bare_s = 0.0
    decodes = photos = 0
    start = time.perf_counter()

    def replay(done: int, total: int) -> None:
        """After each photo: the same calls bare."""
        nonlocal run_s, bare_s, decodes, photos, start
        stop = time.perf_counter()
        for tensor in recording.backend.tensors:  # type: ignore[attr-defined]
            backend.encode(tensor)
        for embedding, prompts in recording.prompts:
            decodes += len(prompts)
            for _ in bare.decoded(embedding, prompts):
                pass
        if done > 1:  # the first is the warm-up
            run_s += stop - start
            bare_s += time.perf_counter() - stop
            photos += 1
        recording.backend.tensors.clear()  # type: ignore[attr-defined]
        recording.prompts.clear()
        if done % 20 == 0 or done == total:
            ratio = run_s / bare_s
            print(
                f"{photos} photos, {decodes} decodes: run {run_s:.1f} s, bare {bare_s:.1f} s, {ratio:.3f}", flush=True
            )
        start = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOBILESAM_CACHE"] = folder
        chosen = protocols.chosen(options.protocol.split(","), Options())
        job = Job([datasets.load(options.data)], chosen, limit=options.limit)
        start = time.perf_counter()
        measure(recording, job, output=Path(folder) / "out", progress=replay)
    print(backend.info)


if __name__ == "__main__":
    main()
