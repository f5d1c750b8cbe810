"""Embeddings on disk, so that a second protocol, or another run, costs only clicks.

One .npy file of 4 MB an embedding, in `embeddings/` of MOBILESAM_CACHE; its name is a hash of the photo's pixels, the
weights, the runtime, the device, the precision, whether padding is skipped, and the letterbox. The folder holds at most
4 GB (1,000 photos): when it is full, files that this run hasn't used go first, the oldest first, and if there are none
nothing more is stored. Files appear whole or not at all; one that can't be read is made anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from .. import settings
from ..embedding import Embedding
from ..errors import OutputError
from ..files import atomic_path
from ..predictor import Predictor
from ..types import F32, U8

MOST_BYTES = 4_000_000_000
HEADER = 128


class EmbeddingCache:
    """The embeddings of one predictor."""

    def __init__(self, predictor: Predictor, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self.predictor = predictor
        self.folder = folder or settings.cache_dir() / "embeddings"
        self.most_bytes = most_bytes
        stats = [(path, path.stat()) for path in self.folder.glob("*.npy")]
        self._bytes = sum(stat.st_size for _, stat in stats)
        self._old = [path for path, _ in sorted(stats, key=lambda pair: pair[1].st_mtime)]
        self._used: set[Path] = set()

    def embed(self, image_rgb: U8, *, name: str, path: Path | None) -> Embedding:
        """The embedding of a photo, from disk where it is there."""
        place = self._place(image_rgb)
        self._used.add(place)
        letterbox = self.predictor.letterbox(image_rgb)
        features = _read(place)
        if features is None:
            embedding = self.predictor.embed(image_rgb, name=name, path=path)
            self._write(place, embedding.features_bchw)
            return embedding
        return Embedding(features, letterbox, self.predictor.backend.info.model_id, image_rgb, name, path)

    def _place(self, image_rgb: U8) -> Path:
        info = self.predictor.backend.info
        skips = self.predictor.padding is not None
        what = (info.model_id, info.runtime, info.device, info.precision, skips, info.img_size, image_rgb.shape)
        digest = hashlib.blake2b(repr(what).encode(), digest_size=16)
        digest.update(image_rgb.tobytes())
        return self.folder / f"{digest.hexdigest()}.npy"

    def _write(self, place: Path, features: F32) -> None:
        size = features.nbytes + HEADER
        if not self._make_room(size):
            return
        try:
            with atomic_path(place) as part:
                np.save(part, features)
        except OutputError:  # a full or read-only disk: a cache may do without
            return
        self._bytes += size

    def _make_room(self, wanted: int) -> bool:
        while self._bytes + wanted > self.most_bytes and self._old:
            oldest = self._old.pop(0)
            if oldest not in self._used and oldest.exists():
                self._bytes -= oldest.stat().st_size
                oldest.unlink()
        return self._bytes + wanted <= self.most_bytes


class NoCache(EmbeddingCache):
    """Keeps nothing: for weights in training, whose embeddings nobody asks for twice."""

    def embed(self, image_rgb: U8, *, name: str, path: Path | None) -> Embedding:
        """The embedding of a photo."""
        return self.predictor.embed(image_rgb, name=name, path=path)


def _read(place: Path) -> F32 | None:
    try:
        with place.open("rb") as handle:
            return np.asarray(np.load(handle, allow_pickle=False), np.float32)
    except (OSError, ValueError, EOFError):
        return None
