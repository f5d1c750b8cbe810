"""What a run has measured so far, photo by photo, so that an interrupted run loses nothing.

OUT/journal.jsonl: a header that says what is measured with what, then one line a photo and protocol. A line that the
interruption cut is dropped, and that photo is measured again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError
from ..files import write_text
from .protocols import Row

FILE = "journal.jsonl"
KEPT = ("object", "area", "scores", "predicted", "prompt", "extra")
Place = tuple[str, str, str]
"""Data set, photo, protocol."""


@dataclass(eq=False)
class Journal:
    """The rows by place; on disk too where there is a path."""

    path: Path | None = None
    done: dict[Place, list[Row]] = field(default_factory=dict)
    notes: dict[Place, list[str]] = field(default_factory=dict)

    def add(self, place: Place, group: str, rows: list[Row], notes: list[str]) -> None:
        """Keep what was measured at a place. Raises OutputError."""
        self.done[place] = rows
        self.notes[place] = notes
        if self.path is None:
            return
        kept = [{key: value for key, value in asdict(row).items() if key in KEPT} for row in rows]
        line = json.dumps({"place": place, "group": group, "rows": kept, "notes": notes})
        try:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(line + "\n")
        except OSError as error:
            raise OutputError(f"Can't write {self.path}: {error}. Free some space and go on with --resume.") from error


def start(output: Path | None, header: dict[str, Any], *, resume: bool) -> Journal:
    """An empty journal, or with `resume` what an earlier run left there.

    Raises InputError where there is an earlier run and no `resume`, or where it measured something else.
    """
    if output is None:
        return Journal()
    path = output / FILE
    if path.exists() and not resume:
        raise InputError(f"{output} has an earlier run; go on with it by --resume, or choose another folder.")
    lines = _lines(path) if path.exists() else []
    if lines:
        before = lines.pop(0).get("header", {})
        differ = [key for key in header if before.get(key) != header[key]]
        if differ:
            key = differ[0]
            raise InputError(
                f"{output} was run with {key} {before.get(key)!r}, now it is {header[key]!r}; choose another folder."
            )
    journal = Journal(path)
    write_text(path, "".join(json.dumps(line) + "\n" for line in [{"header": header}, *lines]))
    for line in lines:
        data, photo, protocol = line["place"]
        rows = [Row(**row, photo=photo, group=line["group"], data=data) for row in line["rows"]]
        journal.done[data, photo, protocol] = rows
        journal.notes[data, photo, protocol] = line["notes"]
    return journal


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines: what follows the last line's end was cut. Raises InputError where a line is damaged."""
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); choose another folder to start anew.") from error
