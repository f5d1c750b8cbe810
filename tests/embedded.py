"""Embeddings that are made up, as the bundled model would have stored them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mobilesam.backends import Checkpoint
from mobilesam.catalog import locate
from mobilesam.train.embeddings import Index, write_shard


def make_photos(folder: Path, count: int) -> Path:
    """Photos of 60 x 40 pixels of noise, 0.png and on."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def make_embeddings(folder: Path, count: int) -> Path:
    """Noise for `make_photos`, and for the photos' mirror images."""
    index = Index(Checkpoint(locate("mobilesam")).model_id, 1024, flips=True)
    rng = np.random.default_rng(1)
    rows = [rng.normal(0, 0.1, (256, 64, 64)).astype(np.float16) for _ in range(2 * count)]
    keys = [f"{n}.png" for n in range(count)]
    index.shards.append(write_shard(folder, 0, keys, [(40, 60)] * count, rows))
    index.save(folder)
    return folder
