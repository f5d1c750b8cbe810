"""Chunks worked on by processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from ..errors import BackendError
from ..model import SAM
from .job import Chunk, Done, Job, run_chunk
from .journal import Journal

ATTEMPTS = 3
"""So many times in a row a process may die before any chunk is done."""
_job: Job | None = None
_ready: tuple[SAM, Journal] | None = None
"""Of a worker process: its job, and what it works with."""


def run(job: Job, chunks: Sequence[Chunk], processes: int) -> Iterator[Done]:
    """What became of each chunk, as they are done. A killed process' chunk is given to another.

    Raises BackendError where processes die again and again, and as `run_chunk`.
    """
    if processes == 1:
        sam, journal = loaded(job)
        for chunk in chunks:
            yield _work(sam, job, journal, chunk)
        return
    left = {chunk.number: chunk for chunk in chunks}
    died = 0
    while left:
        before = len(left)
        try:
            for number, done in _pooled(job, list(left.values()), min(processes, len(left))):
                del left[number]
                yield done
        except BrokenProcessPool as error:
            died = 1 if len(left) < before else died + 1
            if died == ATTEMPTS:
                raise BackendError(
                    f"Processes died {died} times before a chunk was done, about {left[min(left)].entries[0].file}: "
                    "too little memory for so many? Take fewer --processes and go on with --resume."
                ) from error


def _pooled(job: Job, chunks: Sequence[Chunk], processes: int) -> Iterator[tuple[int, Done]]:
    """Each chunk's number and what became of it. Raises BrokenProcessPool where a process died."""
    # Spawned, not forked: the parent may have threads and a runtime.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=(job,))
    try:
        running: dict[Future[Done], int] = {pool.submit(_work_here, chunk): chunk.number for chunk in chunks}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def loaded(job: Job) -> tuple[SAM, Journal]:
    """What a worker needs. Raises as the model does, and InputError where it is another than the job was begun with."""
    sam, journal = job.loader(job), Journal(job)
    journal.check_model(sam.info)
    return sam, journal


def _start(job: Job) -> None:
    """Loads nothing: an error here would look like a process that died."""
    global _job  # noqa: PLW0603  # one job a process
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us, after the chunk at hand
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed can't end its children, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work_here(chunk: Chunk) -> Done:
    global _ready  # noqa: PLW0603  # one model a process
    assert _job is not None
    _ready = _ready or loaded(_job)
    sam, journal = _ready
    return _work(sam, _job, journal, chunk)


def _work(sam: SAM, job: Job, journal: Journal, chunk: Chunk) -> Done:
    done = run_chunk(sam, job, chunk)
    journal.write(chunk, done)
    return done
