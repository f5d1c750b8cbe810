"""What a job does with a chunk of pictures; the same chunk gives the same bytes, whoever works on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from .. import __version__
from ..ahead import ahead, made_ahead
from ..catalog.store import digest_of
from ..errors import MobileSAMError, OutputError
from ..model import SAM
from ..results import Results
from ..scene import Scene
from ..sources import Picture
from ..types import U8, PaddingMode, Precision
from .entries import Entry, loaded
from .output import PARQUET, rows_of, suffix_of, write_rows
from .prompts import Box


def load_model(job: Job) -> SAM:
    """The job's model."""
    return SAM(
        job.model,
        runtime=job.runtime,
        device=job.device,
        precision=cast("Precision", job.precision),
        padding=cast("PaddingMode", job.padding),
        threads=job.threads,
    )


@dataclass(frozen=True)
class Job:
    """What is done with each picture, by which model, and what is written where."""

    out: Path
    task: str = "everything"
    """"everything" or "boxes"."""
    kind: str = "json"
    """One of `output.SUFFIXES`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `SAM.everything`."""
    model: str = "mobilesam"
    runtime: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    padding: str = "auto"
    threads: int | None = None
    """CPU threads of each model; the masks don't depend on it (docs/batch.md says where that was checked)."""
    strict: bool = False
    """The first picture that can't be done ends the job."""
    loader: Callable[[Job], SAM] = load_model

    def options(self) -> dict[str, Any]:
        """What the bytes depend on, besides the pictures."""
        model = Path(self.model)
        files = sorted(p for p in model.rglob("*") if p.is_file()) if model.is_dir() else [model]
        names = ("task", "kind", "model", "runtime", "device", "precision", "padding")
        return {
            "version": __version__,
            **{name: getattr(self, name) for name in names},
            "weights": [digest_of(file) for file in files if file.is_file()],
            "config": dict(self.config),
        }

    def target(self, entry: Entry) -> Path:
        """The file of a picture's result, where each has its own."""
        return self.out / f"{entry.target}{suffix_of(self.task, self.kind)}"


@dataclass(frozen=True)
class Chunk:
    """Pictures that are worked on, and forgotten or kept, together; with their boxes for task "boxes"."""

    number: int
    entries: Sequence[Entry]
    boxes: Sequence[Sequence[Box]] = ()

    def digest(self, options: str) -> str:
        """A name that changes with the pictures, their boxes, their place in the job, or its options (as JSON)."""
        entries = [(e.name, e.target, e.file.as_posix(), e.stamp, e.member, e.time) for e in self.entries]
        text = json.dumps([options, self.number, entries, self.boxes])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Done:
    """What became of a chunk."""

    pictures: int
    masks: int
    errors: list[dict[str, str]]
    """Of each picture that couldn't be done: picture, error (the class), message."""
    files: dict[str, int]
    """What was written, below the job's folder, and how many bytes."""


def run_chunk(sam: SAM, job: Job, chunk: Chunk) -> Done:
    """Masks of a chunk's pictures, written: decoding, the model and writing are three threads' work.

    Raises OutputError, and with `job.strict` whatever a picture raises.
    """
    errors: list[dict[str, str]] = []
    files: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    masks = 0
    for entry, result in ahead(partial(_written, job), _results(sam, job, chunk)):
        if isinstance(result, MobileSAMError):
            errors.append({"picture": entry.name, "error": type(result).__name__, "message": str(result)})
            continue
        masks += result.masks
        rows += result.rows
        files |= {} if result.size is None else {job.target(entry).relative_to(job.out).as_posix(): result.size}
    if job.kind == PARQUET:
        path = job.out / f"part-{chunk.number:06d}.parquet"
        write_rows(path, rows)
        files = {path.name: path.stat().st_size}
    return Done(len(chunk.entries), masks, errors, files)


@dataclass(frozen=True)
class _Kept:
    masks: int
    size: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)


Result = Scene | Results | MobileSAMError


def _results(sam: SAM, job: Job, chunk: Chunk) -> Iterator[tuple[Entry, Result]]:
    boxes = iter(chunk.boxes)
    for entry, pixels in made_ahead(loaded(chunk.entries)):
        mine = next(boxes, None)
        result = pixels if isinstance(pixels, MobileSAMError) else _result(sam, job, entry, pixels, mine)
        if job.strict and isinstance(result, MobileSAMError):
            raise result
        yield entry, result


def _result(sam: SAM, job: Job, entry: Entry, pixels: U8, boxes: Sequence[Box] | None) -> Result:
    picture = Picture(entry.name, entry.file, lambda: pixels, pixels)
    try:
        if job.task == "boxes":
            return sam.predict(picture, bboxes=[list(box) for box in boxes or ()])[0]
        return cast("Scene", sam.everything(picture, **job.config))
    except MobileSAMError as error:
        return error


def _written(job: Job, outcome: tuple[Entry, Result]) -> tuple[Entry, _Kept | MobileSAMError]:
    entry, result = outcome
    if isinstance(result, MobileSAMError):
        return entry, result
    if job.kind == PARQUET:
        return entry, _Kept(len(result), rows=rows_of(result))
    try:
        saved = result.save(job.target(entry), kind=job.kind)
    except MobileSAMError as error:  # too many masks for a label map, say; but a full disk ends the job
        if isinstance(error, OutputError) or job.strict:
            raise
        return entry, error
    return entry, _Kept(len(result), saved.stat().st_size)
