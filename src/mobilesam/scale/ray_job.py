"""Chunks worked on by Ray Data's actors, each of which holds the model.

What is done is noted in the job's folder by the actors themselves, as local processes do, so a job that is begun on a
cluster may be resumed on one machine and the other way round. Ray starts an actor that died again, with its chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .._optional import require
from ..errors import BackendError, MobileSAMError
from .job import Chunk, Done, Job, run_chunk
from .local import loaded


def run(job: Job, chunks: Sequence[Chunk], actors: int, address: str) -> Iterator[Done]:
    """What became of each chunk, as they are done; `address` is a cluster's, or "local" to start one here.

    Raises MissingDependencyError, as `run_chunk` does, and BackendError where Ray gives up.
    """
    ray: Any = require("ray", "scale", "Work on a Ray cluster")
    data: Any = require("ray.data", "scale", "Work on a Ray cluster")
    mine = not ray.is_initialized()
    if mine:
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        rows = data.from_items([{"chunk": chunk} for chunk in chunks], override_num_blocks=len(chunks))
        pool = data.ActorPoolStrategy(size=min(actors, len(chunks)))
        done = rows.map(Worker, fn_constructor_args=(job,), compute=pool, num_cpus=job.threads or 1)
        for row in done.iter_rows():
            if isinstance(row["done"], MobileSAMError):
                raise row["done"]
            yield row["done"]
    except ray.exceptions.RayError as error:
        raise BackendError(f"Ray gave up the job ({error}); what is done stays done, go on with --resume.") from error
    finally:
        if mine:
            ray.shutdown()


class Worker:
    """An actor's state: the model, loaded once."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.sam, self.journal = loaded(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with a chunk becomes one with what became of it; a chunk that is whole isn't done twice.

        Our own errors are returned: raised here, Ray would wrap them in its own.
        """
        chunk: Chunk = row["chunk"]
        try:
            done = self.journal.read(chunk)
            if done is None:
                done = run_chunk(self.sam, self.job, chunk)
                self.journal.write(chunk, done)
        except MobileSAMError as error:
            return {"done": error}
        return {"done": done}
