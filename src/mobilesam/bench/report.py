"""A run's values, and what may be said of them: medians, spreads, and ratios within one run only."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import InputError
from ..files import write_text
from .jobs import JOBS

GFLOP = 72.3
"""Of one encode of the whole square, counting a multiplication and an addition as two."""


class NotInterleavedError(InputError):
    """A ratio was asked of values of different runs: the machine may have been another, or busy."""


@dataclass(frozen=True)
class Value:
    """The measurements of one job by one candidate, and which run they are of."""

    run: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)


def ratio(slow: Value, fast: Value) -> float:
    """How many times the first one's median is the second's.

    Raises NotInterleavedError unless both were measured in turns in one run.

    >>> ratio(Value("a", [2.0, 2.2, 2.1]), Value("a", [1.0, 1.1, 1.05]))
    2.0
    """
    if slow.run != fast.run or len(slow.values) != len(fast.values):
        raise NotInterleavedError("A ratio needs values measured in turns in one run; measure both together.")
    return slow.median / fast.median


@dataclass(frozen=True)
class Report:
    """What `mobilesam bench` measured."""

    run: str
    machine: str
    started: str
    rounds: int
    slow_rounds: int
    matmul_gflops: float
    values: Mapping[str, Mapping[str, Sequence[float]]]
    """Job -> candidate -> a value a round."""

    @property
    def candidates(self) -> list[str]:
        """In the order of the run; ratios are to the first."""
        return list(dict.fromkeys(name for row in self.values.values() for name in row))

    def value(self, job: str, candidate: str) -> Value | None:
        """None where it wasn't measured."""
        found = self.values.get(job, {}).get(candidate)
        return Value(self.run, found) if found else None

    def speed_up(self, job: str, candidate: str) -> float | None:
        """How many times faster than the first candidate; None where one of them wasn't measured."""
        first, other = self.candidates[0], JOBS[job].against
        base, own = self.value(job, first), self.value(job, candidate)
        if base is None and other is not None:
            base = self.value(other, first)
        if base is None or own is None:
            return None
        return ratio(own, base) if JOBS[job].unit == "images/s" else ratio(base, own)

    def share_of_peak(self, candidate: str) -> float | None:
        """The encoder's arithmetic rate on a square photo, as a share of the best matrix product's."""
        encode = self.value("encode 1:1", candidate)
        return GFLOP / encode.median / self.matmul_gflops if encode else None

    def to_json(self) -> str:
        """All values."""
        return json.dumps(asdict(self), indent=1)

    def save(self, path: Path) -> Path:
        """Write `to_json`, atomically."""
        write_text(path, self.to_json())
        return path

    @classmethod
    def load(cls, path: Path) -> Report:
        """What `save` wrote. Raises InputError for something else."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path} is no report of `mobilesam bench` ({error}).") from error

    def markdown(self) -> str:
        """The table with its machine: a row a job, a column a candidate; medians, spread, ratio to the first column."""
        names = self.candidates
        lines = [
            f"> {self.machine}",
            "",
            (
                f"{self.started}; {self.rounds} interleaved rounds after one of warm-up ({self.slow_rounds} of "
                "everything mode); medians (lowest–highest), and how many times faster than the first column."
            ),
            "",
            f"| | {' | '.join(names)} |",
            f"|---|{'---|' * len(names)}",
        ]
        measured = [job for job in self.values if any(self.values[job].values())]
        lines += [f"| {job} | {' | '.join(self._cell(job, name) for name in names)} |" for job in measured]
        shares = [self.share_of_peak(name) for name in names]
        if any(shares):
            cells = " | ".join(f"{share:.0%}" if share else "–" for share in shares)
            lines.append(f"| encode 1:1, share of {self.matmul_gflops:.0f} GFLOP/s | {cells} |")
        return "\n".join(lines)

    def _cell(self, job: str, name: str) -> str:
        value = self.value(job, name)
        if value is None:
            return "–"
        text = f"{shown(value.median, JOBS[job].unit)} ({_spread(value.values, JOBS[job].unit)})"
        times = self.speed_up(job, name) if JOBS[job].unit != "MB" else None
        return text if times is None or name == self.candidates[0] else f"{text}, {times:.1f}x"


def shown(value: float, unit: str) -> str:
    """A value with its unit, three figures.

    >>> shown(0.1234, "s"), shown(12.34, "s"), shown(3.456, "images/s"), shown(512.3, "MB")
    ('123 ms', '12.3 s', '3.46/s', '512 MB')
    """
    if unit == "MB":
        return f"{value:.0f} MB"
    if unit == "images/s":
        return f"{value:.3g}/s"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def _spread(values: Sequence[float], unit: str) -> str:
    scale = 1e3 if unit == "s" and statistics.median(values) < 1 else 1
    return f"{min(values) * scale:.3g}–{max(values) * scale:.3g}"
