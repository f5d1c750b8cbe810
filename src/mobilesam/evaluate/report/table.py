"""The report on a terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.table import Table

from ..protocols import Figure
from . import Report
from .page import SIZES, shown


def printed(report: Report) -> Group:
    """Tables by data set and protocol, and what was left out."""
    tables = _tables(report.figures, signed=False)
    if report.differences:
        tables += _tables(report.differences, signed=True)
    notes = [f"{len(report.notes)} left out, such as {report.notes[0]}"] if report.notes else []
    return Group(*tables, *notes)


def show(report: Report, console: Console | None = None) -> None:
    """Print the report."""
    (console or Console()).print(printed(report))


def _tables(figures: list[Figure], *, signed: bool) -> list[Table]:
    found = []
    for data, protocol in dict.fromkeys((f.data, f.protocol) for f in figures):
        here = [f for f in figures if (f.data, f.protocol) == (data, protocol)]
        cells = {(f.score, f.size): f for f in here}
        sizes = [size for size in SIZES if any(f.size == size for f in here)]
        what = "less the other: " if signed else ""
        table = Table("", *sizes, "n", title=f"{what}{data}, {protocol}", title_justify="left")
        for score in dict.fromkeys(f.score for f in here):
            row = [shown(cells[score, size], signed=signed) if (score, size) in cells else "" for size in sizes]
            table.add_row(score, *row, str(cells[score, "all"].count) if (score, "all") in cells else "")
        found.append(table)
    return found
