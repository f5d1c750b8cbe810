"""Progress bars on stderr, shown only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    bar = _DownloadBar()
    try:
        yield bar.show
    finally:
        bar.stop()


class _DownloadBar:
    def __init__(self) -> None:
        self._bar: RichProgress | None = None

    def show(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = _new_bar()
            self._bar.add_task("weights", total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _new_bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import DownloadColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (*RichProgress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    return RichProgress(*columns, console=Console(stderr=True))
