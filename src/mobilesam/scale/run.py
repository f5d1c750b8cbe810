"""`batch`: a job over many pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import settings
from ..errors import InputError
from ..everything import EverythingConfig
from ..sources import IMAGE_SUFFIXES
from . import local, ray_job
from .entries import Entry, entries_of
from .job import Chunk, Done, Job
from .journal import Journal
from .output import PARQUET, suffix_of
from .prompts import Box, matched, read_boxes

CHUNK = 16
"""Pictures that are done and noted together: few are lost with a killed process, and parquet files aren't tiny."""


@dataclass(frozen=True)
class Summary:
    """What a job has come to."""

    pictures: int
    masks: int
    errors: list[dict[str, str]]
    """Pictures that couldn't be done, as in _errors.jsonl."""
    resumed: int
    """Pictures that an earlier run had done."""
    without: list[str]
    """Names in the prompts that no picture has."""


def batch(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    task: str = "everything",
    prompts: str | Path | None = None,
    kind: str | None = None,
    every: int = 1,
    processes: int | None = None,
    threads: int | None = None,
    chunk: int = CHUNK,
    resume: bool = False,
    strict: bool = False,
    ray: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    config: Mapping[str, Any] | None = None,
    **model: Any,
) -> Summary:
    """Masks of all pictures of folders, globs, tar shards and videos, written to the folder `out`.

    `task` is "everything", with `config` for the arguments of `SAM.everything`, or "boxes", with `prompts` a file of
    boxes (`prompts.read_boxes`). `kind` is what is written, one of `output.SUFFIXES`: a file a picture, or "parquet", a
    file a chunk (the default where `out` ends with .parquet, else "json"). Of videos every `every`-th frame is taken.
    `processes` work side by side, a core each unless `threads` says how many; with `ray`, "local" or a cluster's
    address, they are Ray actors, and `out` must be a folder that all machines share. `chunk` pictures are noted as done
    together; `resume` goes on with a run that was interrupted. Pictures that can't be done are listed in
    OUT/_errors.jsonl; with `strict` the first ends the job. `progress` is called with pictures done and in all.
    `model` are model, runtime, device, precision, padding, as in `SAM`.

    Raises InputError, SourceNotFoundError, OutputError, BackendError (processes that die), MissingDependencyError.
    """
    if min(every, chunk, processes or 1) < 1:
        raise InputError(f"every, chunk and processes must be 1 or more, got {every}, {chunk} and {processes}.")
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    folder = Path(out)
    count = processes or settings.cores()
    job = Job(
        folder, task, kind or (PARQUET if folder.suffix == ".parquet" else "json"), dict(config or {}),
        threads=threads or max(1, settings.cores() // count), strict=strict, **model,
    )  # fmt: skip
    _check(job, prompts)
    chunks, without = _chunks(entries_of(given, every), prompts, chunk)
    _check_apart(job, chunks)
    journal = Journal(job)
    journal.start(resume=resume)
    kept = {part.number: done for part in chunks if resume and (done := journal.read(part)) is not None}
    left = [part for part in chunks if part.number not in kept]
    before = sum(done.pictures for done in kept.values())
    total = sum(len(part.entries) for part in chunks)
    _follow(_worked(job, left, count, ray), before, total, progress)
    found = journal.finish(chunks)
    errors = [error for done in found for error in done.errors]
    return Summary(total, sum(done.masks for done in found), errors, before, without)


def _check(job: Job, prompts: str | Path | None) -> None:
    """What is wrong with the options is said before a picture is looked for."""
    if (job.task == "boxes") != (prompts is not None):
        raise InputError("Task 'boxes' takes a file of boxes, and no other task does: pass task and prompts together.")
    suffix_of(job.task, job.kind)
    if job.task == "boxes" and job.config:
        raise InputError(f"Task 'boxes' has no option {min(job.config)!r}; it is everything's.")
    EverythingConfig.of(job.config)


def _check_apart(job: Job, chunks: Sequence[Chunk]) -> None:
    """Raises InputError where a result would be written over a photo."""
    if suffix_of(job.task, job.kind) not in IMAGE_SUFFIXES:
        return
    for entry in (entry for part in chunks for entry in part.entries):
        if job.target(entry).absolute() == entry.file.absolute():
            raise InputError(f"{job.out} is the folder of the photos, and {entry.name} would be overwritten.")


def _chunks(entries: Sequence[Entry], prompts: str | Path | None, size: int) -> tuple[list[Chunk], list[str]]:
    """The pictures in chunks, and the prompts' names that no picture has."""
    if prompts is None:
        return [Chunk(i // size, entries[i : i + size]) for i in range(0, len(entries), size)], []
    pairs, without = matched(read_boxes(prompts), entries)
    if not pairs:
        raise InputError(f"No name in {prompts} is that of a picture; it has {', '.join(without[:3])}, ...")
    parts: list[Sequence[tuple[Entry, list[Box]]]] = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    chunks = [Chunk(i, [entry for entry, _ in part], [boxes for _, boxes in part]) for i, part in enumerate(parts)]
    return chunks, without


def _worked(job: Job, chunks: Sequence[Chunk], processes: int, ray: str | None) -> Iterator[Done]:
    if not chunks:
        return iter(())
    if ray is None:
        return local.run(job, chunks, min(processes, len(chunks)))
    return ray_job.run(job, chunks, processes, ray)


def _follow(worked: Iterator[Done], before: int, total: int, progress: Callable[[int, int], None] | None) -> None:
    for done in worked:
        before += done.pictures
        if progress:
            progress(before, total)
