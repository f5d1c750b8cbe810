"""The files of a report, each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import write_bytes, write_text
from ..metrics import size_of
from ..protocols import Figure, Row
from . import page

if TYPE_CHECKING:
    from . import Report

FIGURE_NAMES = tuple(field.name for field in fields(Figure))
ROW_NAMES = ("data", "protocol", "photo", "group", "object", "area", "size", "predicted", "score", "value")


def save(report: Report, folder: Path) -> Path:
    """Write everything; see Report.save."""
    write_text(folder / "report.json", json.dumps(report.to_dict(), indent=1))
    write_text(folder / "figures.csv", table(FIGURE_NAMES, map(astuple, report.figures)))
    if report.differences:
        write_text(folder / "differences.csv", table(FIGURE_NAMES, map(astuple, report.differences)))
    lines = (line for name, rows in report.rows.items() for row in rows for line in _lines(name, row))
    write_text(folder / "rows.csv", table(ROW_NAMES, lines))
    prompts = {name: _by_object(rows, "prompt") for name, rows in report.rows.items()}
    write_text(folder / "points.json", json.dumps(prompts))
    every = [row for rows in report.rows.values() for row in rows]
    if any("masks" in row.extra for row in every):
        write_text(folder / "masks.json", json.dumps(_by_object(every, "masks")))
    for name, rows in report.rows.items():
        if any("detections" in row.extra for row in rows):
            found = [item for row in rows for item in row.extra["detections"]]
            write_text(folder / f"detections-{name}.json", json.dumps(found))
    if report.worst:
        write_bytes(folder / "worst.png", report.worst)
    write_text(folder / "report.html", page.html(report))
    return folder


def table(names: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """CSV text with a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)
    return text.getvalue()


def _lines(protocol: str, row: Row) -> list[tuple[Any, ...]]:
    start = (row.data, protocol, row.photo, row.group, row.object, row.area, size_of(row.area), row.predicted)
    return [(*start, name, value) for name, value in row.scores.items()]


def _by_object(rows: Sequence[Row], what: str) -> dict[str, dict[str, Any]]:
    """{photo: {object: prompt or masks}}; a photo's name has its data set before it where there are several."""
    several = len({row.data for row in rows}) > 1
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        value = row.prompt if what == "prompt" else row.extra.get(what)
        if value:
            found.setdefault(f"{row.data}/{row.photo}" if several else row.photo, {})[row.object] = value
    return found
