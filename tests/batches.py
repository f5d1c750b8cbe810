"""For the tests of many pictures: models without weights that other processes can load, and a run to be killed."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mobilesam import SAM
from mobilesam.scale import batch
from mobilesam.scale.job import Job
from mobilesam.testing import FakeBackend

OPTIONS = {"config": {"points_per_side": 2, "stability_score_thresh": 0.5}, "chunk": 2}


class Small(FakeBackend):
    """FakeBackend for a square of 128 pixels, which is quick."""

    def __init__(self) -> None:
        super().__init__(radius=16)
        self.info = replace(self.info, img_size=128)

    def encode(self, image_bchw):
        return super().encode(image_bchw)[..., :8, :8]


def load_fake(_: Job) -> SAM:
    """In any process."""
    return SAM.from_backend(Small())


class Killed(Small):
    """A machine that fails at one picture, once: where the file at `path` can still be removed."""

    path: Path
    victim: int | None = None

    def encode(self, image_bchw):
        if abs(float(image_bchw[0, 2, 0, 0]) - DEADLY) < 1e-3 and self.path.exists():
            self.path.unlink()
            os.kill(self.victim or os.getpid(), signal.SIGKILL)
        return super().encode(image_bchw)


DEADLY = (7 - 103.53) / 57.375
"""The model's input for a picture of the colour (7, 7, 7), in its last channel."""


def load_killed(job: Job) -> SAM:
    """A process of this model kills itself once, at the picture of the colour (7, 7, 7)."""
    backend = Killed()
    backend.path = job.out.parent / "deadly"
    return SAM.from_backend(backend)


def make_photos(folder: Path, count: int) -> Path:
    """Photos of different sizes, the i-th of the grey i + 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(np.full((20 + i, 30, 3), i + 1, np.uint8)).save(folder / f"{i:03d}.png")
    return folder


def bytes_of(out: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def load_killing(job: Job) -> SAM:
    """As `load_killed`, but a worker process kills the one that started it."""
    sam = load_killed(job)
    sam.predictor.backend.victim = os.getppid()
    return sam


if __name__ == "__main__":  # PHOTOS OUT KIND PROCESSES: run, and be killed at the seventh photo
    photos, out, kind, count = sys.argv[1:]
    loader = load_killed if count == "1" else load_killing
    batch(photos, out, kind=kind, processes=int(count), loader=loader, **OPTIONS)
