"""Work done by threads ahead of whoever needs it, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import repeat
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ahead(function: Callable[[S], T], items: Iterable[S], workers: int = 1, most: int = 1) -> Generator[T, None, None]:
    """`map(function, items)` by threads, at most `most` results ahead; whoever stops listening leaves no work behind.

    >>> list(ahead(abs, [-1, 2, -3], workers=2, most=2))
    [1, 2, 3]
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="mobilesam-ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def made_ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """The same items, each made by a thread while the one before is worked on; an error comes in its item's place.

    Closed early, it closes `items` too, and no thread stays.

    >>> list(made_ahead(i * i for i in range(3)))
    [0, 1, 4]
    """
    end = object()
    with closing(items), closing(ahead(lambda _: next(items, end), repeat(None))) as made:
        for item in made:
            if item is end:
                return
            yield item  # type: ignore[misc]  # an item: the only other object is `end`
