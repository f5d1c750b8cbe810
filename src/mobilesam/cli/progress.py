"""Progress bars on stderr, shown only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
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
    """A callback that draws the bytes of a download; nothing is drawn, or imported, before the first."""
    bars: list[object] = []

    def show(done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

        if not bars:
            bar = Progress(*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn(),
                           console=Console(stderr=True))
            bar.add_task("weights", total=total)
            bar.start()
            bars.append(bar)
        drawn = bars[0]
        assert isinstance(drawn, Progress)
        drawn.update(drawn.task_ids[0], completed=done)

    try:
        yield show
    finally:
        for bar in bars:
            bar.stop()  # type: ignore[attr-defined]  # a rich Progress, imported late
