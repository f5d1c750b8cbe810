"""Things that are made on demand, of which all or only the last few asked for are kept."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
ENCODERS = 4
"""An encoder is kept for so many shapes of photos; each takes some 200 MB, and is read from a cache in a tenth of a
second."""


class Recent(Generic[T]):
    """At most `most` values by key, or all that were made; threads may share it, and whoever holds a value keeps it.

    >>> kept = Recent(1)
    >>> kept.get("a", lambda: 1), kept.get("a", lambda: 2), kept.get("b", lambda: 3), kept.get("a", lambda: 4)
    (1, 1, 3, 4)
    """

    def __init__(self, most: float = math.inf) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key, made where it isn't there (any more)."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return self._kept[key]
