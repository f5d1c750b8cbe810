"""Progress bars on stderr, shown only on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from ..catalog.download import Progress

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterable[T]:
    """`items`, with a bar where there is more than one."""
    if len(items) < 2:
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    return rich_track(items, description=what, console=Console(stderr=True))


@contextmanager
def download_bar() -> Iterator[Progress]:
    """A callback that draws the bytes of a download; nothing is imported or drawn before its first call."""
    with _bar("weights", in_bytes=True) as show:
        yield show


@contextmanager
def work_bar(what: str) -> Iterator[Progress]:
    """A callback that draws how much of one photo's work is done."""
    with _bar(what, in_bytes=False) as show:
        yield show


@contextmanager
def training_bar() -> Iterator[Callable[[int, int, str], None]]:
    """A callback that draws how many steps are done, and a word on how it goes."""
    bar = _Bar("steps", in_bytes=False)
    try:
        yield bar.show
    finally:
        bar.stop()


@contextmanager
def _bar(what: str, *, in_bytes: bool) -> Iterator[Progress]:
    bar = _Bar(what, in_bytes)
    try:
        yield bar.show
    finally:
        bar.stop()


class _Bar:
    def __init__(self, what: str, in_bytes: bool) -> None:
        self._what, self._in_bytes = what, in_bytes
        self._bar: RichProgress | None = None

    def show(self, done: int, total: int, word: str = "") -> None:
        if self._bar is None:
            self._bar = _new_bar(self._in_bytes)
            self._bar.add_task(self._what, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, description=f"{self._what} {word}".strip())

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _new_bar(in_bytes: bool) -> RichProgress:
    from rich.console import Console
    from rich.progress import DownloadColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else ()
    console = Console(stderr=True)
    return RichProgress(
        *RichProgress.get_default_columns(),
        *columns,
        console=console,
        transient=not in_bytes,
        disable=not (in_bytes or console.is_terminal),
    )
