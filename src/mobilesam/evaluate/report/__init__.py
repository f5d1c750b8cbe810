"""What a run found: figures, how honest the scores are, differences; and as table, files, page and picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ..protocols import Figure, Row
from . import files

__all__ = ["Honesty", "Report", "honesty_of"]

BINS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Honesty:
    """Predicted IoU against true IoU."""

    data: str
    protocol: str
    count: int
    predicted: float
    """Mean of the model's guesses."""
    true: float
    """Mean of the true IoU."""
    mean_error: float
    """Mean of |predicted - true|."""
    correlation: float
    """Pearson's; 0 where either doesn't vary."""
    bins: list[tuple[float, float, int]]
    """Where guesses lie in the same tenth: their mean, the mean true IoU, how many."""


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """The figures of a run, and the rows they are of."""

    info: dict[str, Any]
    """Model, runtime, precision, data sets, seed."""
    titles: dict[str, str]
    """What each protocol is."""
    figures: list[Figure]
    rows: dict[str, list[Row]]
    """By protocol: one row an object."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""
    differences: list[Figure] = field(default_factory=list)
    """This model less the other on the same prompts."""
    other: dict[str, Any] | None = None
    """The other model's info."""
    worst: bytes | None = None
    """The worst masks as a PNG."""

    def __repr__(self) -> str:
        return f"Report({len(self.figures)} figures of {', '.join(self.rows)})"

    def figure(self, protocol: str, score: str, size: str = "all", data: str | None = None) -> Figure:
        """One figure. Raises InputError where there is none."""
        for found in self.figures:
            if (found.protocol, found.score, found.size) == (protocol, score, size) and data in (None, found.data):
                return found
        raise InputError(f"The report has no {protocol} {score!r} of size {size}; it has: {self._names()}.")

    def _names(self) -> str:
        return ", ".join(dict.fromkeys(f"{f.protocol} {f.score}" for f in self.figures))

    @property
    def honesty(self) -> list[Honesty]:
        """Of each protocol and data set in which the model guessed."""
        sets = dict.fromkeys(f.data for f in self.figures)
        found = [honesty_of(name, data, rows) for name, rows in self.rows.items() for data in sets]
        return [one for one in found if one]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as JSON holds it."""
        return {
            "info": self.info,
            "protocols": self.titles,
            "figures": [asdict(f) for f in self.figures],
            "honesty": [asdict(h) for h in self.honesty],
            "differences": [asdict(f) for f in self.differences],
            "other": self.other,
            "notes": self.notes,
        }

    def save(self, folder: str | Path) -> Path:
        """Write report.json, figures.csv, rows.csv, points.json, report.html, worst.png, and where a protocol stores
        masks, masks.json and detections.json. Raises OutputError."""
        return files.save(self, Path(folder))


def honesty_of(protocol: str, data: str, rows: Sequence[Row]) -> Honesty | None:
    """How a protocol's guesses compare with its first score; None without guesses."""
    some = [row for row in rows if row.data == data and row.predicted is not None and row.scores]
    if not some:
        return None
    guesses = np.array([row.predicted for row in some], np.float64)
    truth = np.array([next(iter(row.scores.values())) for row in some])
    varied = len(some) > 1 and guesses.std() > 0 and truth.std() > 0
    tenth = np.clip(np.digitize(guesses, BINS) - 1, 0, len(BINS) - 2)
    bins = [
        (float(guesses[tenth == t].mean()), float(truth[tenth == t].mean()), int((tenth == t).sum()))
        for t in np.unique(tenth)
    ]
    return Honesty(
        data,
        protocol,
        len(some),
        float(guesses.mean()),
        float(truth.mean()),
        float(np.abs(guesses - truth).mean()),
        float(np.corrcoef(guesses, truth)[0, 1]) if varied else 0.0,
        bins,
    )
