"""The interleaved run: every round asks every candidate for every job, in turn."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from .. import settings
from ..errors import MobileSAMError
from ..image import to_rgb
from . import machine
from .candidates import Candidate
from .jobs import FILE_WH, IMAGES, JOBS
from .report import Report

Say = Callable[[str], None]
PAUSE = 0.2
"""Seconds before each measurement: threads of the candidate before it (ONNX Runtime's, OpenMP's) wait by spinning."""


class Worker:
    """A candidate's process; `ask` waits for its answer."""

    def __init__(self, candidate: Candidate, photo: Path, threads: int | None = None) -> None:
        self.candidate = candidate
        self._process = subprocess.Popen(
            _command(candidate, photo, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read()

    def ask(self, job: str) -> float | None:
        """Seconds (or MB) of a job; None where the candidate has no such thing."""
        self.send(job)
        return self.answer()

    def send(self, job: str) -> None:
        """Start a job without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(job + "\n")
        self._process.stdin.flush()

    def answer(self) -> float | None:
        """What the started job gave."""
        value: float | None = json.loads(self._read())
        return value

    def close(self) -> None:
        """End the process; it has nothing to save."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            reason = errors.strip().splitlines()[-1] if errors.strip() else "no message"
            raise MobileSAMError(f"{self.candidate.name} stopped: {reason}")
        return line


def run(
    candidates: Sequence[Candidate],
    photo: Path,
    *,
    rounds: int,
    slow_rounds: int,
    jobs: Sequence[str] = tuple(JOBS),
    say: Say = lambda _: None,
) -> Report:
    """Measure; the first round is warm-up and isn't counted, and slow jobs are not in it.

    Raises MobileSAMError where a candidate's process stops, with its last line.
    """
    seconds: dict[str, dict[str, list[float]]] = {job: {c.name: [] for c in candidates} for job in jobs}
    rates: list[float] = []
    with ExitStack() as stack:
        photo = _resized(photo, Path(stack.enter_context(TemporaryDirectory())))
        workers = {c.name: _started(c, photo, stack, say) for c in candidates}
        pairs: dict[str, tuple[Worker, Worker]] = {}
        if "images, 2 workers" in jobs:
            half = max(1, settings.cores() // 2)
            for c in candidates:
                pairs[c.name] = (_started(c, photo, stack, say, half), _started(c, photo, stack, say, half))
        for i in range(1 + rounds):
            say(f"round {i} of {rounds}" if i else "warm-up")
            rates.append(machine.matmul_rate())
            for job, candidate in _todo(jobs, candidates, i, slow_rounds):
                time.sleep(PAUSE)
                value = _value(job, candidate, workers[candidate.name], pairs.get(candidate.name), photo)
                if i and value is not None:
                    seconds[job][candidate.name].append(value)
    return Report(
        run=uuid.uuid4().hex,
        machine=machine.describe(),
        started=time.strftime("%Y-%m-%d %H:%M"),
        rounds=rounds,
        slow_rounds=slow_rounds,
        matmul_gflops=max(rates),
        values={job: {name: v for name, v in row.items() if v} for job, row in seconds.items()},
    )


def _resized(photo: Path, folder: Path) -> Path:
    """The photo as a JPEG of the size that all are measured on."""
    path = folder / "photo.jpg"
    Image.fromarray(to_rgb(photo)).resize(FILE_WH, Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def _todo(
    jobs: Sequence[str], candidates: Sequence[Candidate], i: int, slow_rounds: int
) -> Iterator[tuple[str, Candidate]]:
    for job in jobs:
        if not JOBS[job].is_slow or 1 <= i <= slow_rounds:
            yield from ((job, candidate) for candidate in candidates)


def _value(
    job: str, candidate: Candidate, worker: Worker, pair: tuple[Worker, Worker] | None, photo: Path
) -> float | None:
    if job == "cold start":
        return _cold(candidate, photo)
    if job == "images, 1 worker":
        seconds = worker.ask("images")
        return None if seconds is None else IMAGES / seconds
    if job == "images, 2 workers":
        return None if pair is None else _together(pair)
    return worker.ask(job)


def _together(pair: tuple[Worker, Worker]) -> float | None:
    start = time.perf_counter()
    for one in pair:
        one.send("images")
    answers = [one.answer() for one in pair]
    return None if None in answers else 2 * IMAGES / (time.perf_counter() - start)


def _cold(candidate: Candidate, photo: Path) -> float:
    start = time.perf_counter()
    done = subprocess.run(_command(candidate, photo, None, cold=True), capture_output=True, text=True, check=False)
    if done.returncode:
        raise MobileSAMError(f"{candidate.name} stopped: {done.stderr.strip().splitlines()[-1:]}")
    return time.perf_counter() - start


def _started(candidate: Candidate, photo: Path, stack: ExitStack, say: Say, threads: int | None = None) -> Worker:
    say(f"loading {candidate.name}")
    worker = Worker(candidate, photo, threads)
    stack.callback(worker.close)
    return worker


def _command(candidate: Candidate, photo: Path, threads: int | None, *, cold: bool = False) -> list[str]:
    spec: dict[str, Any] = {
        "kind": candidate.kind,
        "options": candidate.options,
        "photo": str(photo),
        "threads": threads,
        "cold": cold,
    }
    return [sys.executable, "-m", "mobilesam.bench.worker", json.dumps(spec)]
