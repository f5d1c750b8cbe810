"""Embeddings that clients may ask about: a byte budget, the longest unused goes first."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..embedding import Embedding
from .problems import Problem, not_found

OVERHEAD = 1024
"""Bytes of an entry besides its arrays, rounded up."""


@dataclass
class _Entry:
    owner: str
    embedding: Embedding
    size: int
    used: float


class EmbeddingStore:
    """Embeddings by unguessable ids, each seen by its owner only. Safe for threads.

    The photo isn't kept: clicks don't need it, and it is the private part.
    """

    def __init__(self, budget: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._ttl, self._clock = budget, ttl, clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the longest unused first
        self._lock = threading.Lock()
        self.bytes = 0
        """What all embeddings take."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, embedding: Embedding, owner: str) -> str:
        """Keep it; returns its id. Raises Problem (413) where it alone is larger than the budget."""
        kept = replace(embedding, image=None, path=None, name="image0")
        size = kept.features_bchw.nbytes + OVERHEAD
        if size > self._budget:
            raise Problem(
                413, "TooLarge", f"An embedding has {size} bytes, the store {self._budget}; raise store_bytes."
            )
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._expire()
            while self.bytes + size > self._budget:
                self._drop(next(iter(self._entries)))
            self._entries[name] = _Entry(owner, kept, size, self._clock())
            self.bytes += size
        return name

    def get(self, name: str, owner: str) -> Embedding:
        """The embedding; it counts as used now. Raises Problem (404), whoever it belongs to."""
        with self._lock:
            entry = self._of(name, owner)
            entry.used = self._clock()
            self._entries.move_to_end(name)
            return entry.embedding

    def delete(self, name: str, owner: str) -> None:
        """Forget it. Raises Problem (404)."""
        with self._lock:
            self._of(name, owner)
            self._drop(name)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0

    def _of(self, name: str, owner: str) -> _Entry:
        self._expire()
        entry = self._entries.get(name)
        if entry is None or entry.owner != owner:
            raise not_found()
        return entry

    def _expire(self) -> None:
        oldest = self._clock() - self._ttl
        while self._entries and next(iter(self._entries.values())).used < oldest:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        self.bytes -= self._entries.pop(name).size
