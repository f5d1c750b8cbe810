"""Which chunks of a job are whole, so that a run that was killed goes on where it was.

OUT/.batch/run.json says what the job is, model.json which model "auto" came to. OUT/.batch/DIGEST.json, written after
all files of a chunk, says what became of it; the digest is of the chunk's pictures and the job's options, so that what
changed since is done again. Nothing here depends on who worked when: a resumed run leaves the same bytes as one that
was never interrupted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..backends import BackendInfo
from ..errors import InputError
from ..files import write_text
from .job import Chunk, Done, Job

STATE = ".batch"
ERRORS = "_errors.jsonl"
"""Begins so that readers of a folder of parquet files leave it out, as they do with names that begin with a dot."""
FORMAT = 1


class Journal:
    """The state of a job in its folder; any process may write the chunks it has done.

    With `start` the folder is made ready: raises InputError where it holds an earlier run and `resume` is False, or an
    earlier run of another job.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.folder = job, job.out / STATE
        self.options = json.dumps(job.options(), sort_keys=True, default=str)

    def start(self, *, resume: bool) -> None:
        """See the class."""
        path = self.folder / "run.json"
        header = {"format": FORMAT, **json.loads(self.options)}
        if path.exists():
            if not resume:
                raise InputError(f"{self.job.out} has an earlier run; go on by --resume, or choose another folder.")
            _check_same(json.loads(path.read_text(encoding="utf-8")), header, self.job.out)
            self.clean()
        else:
            write_text(path, json.dumps(header, indent=1))

    def check_model(self, info: BackendInfo) -> None:
        """What "auto" came to on this machine must be what it was where the job began; called by whoever loads a model.

        Raises InputError where it isn't: other numbers give other bytes.
        """
        path = self.folder / "model.json"
        mine = {name: getattr(info, name) for name in ("runtime", "device", "precision", "model_id")}
        if not path.exists():
            write_text(path, json.dumps(mine))
        _check_same(json.loads(path.read_text(encoding="utf-8")), mine, self.job.out)

    def read(self, chunk: Chunk) -> Done | None:
        """What became of a chunk, or None where it has to be worked on."""
        path = self._path(chunk)
        if not path.exists():
            return None
        done = Done(**json.loads(path.read_text(encoding="utf-8")))
        return done if all(_size(self.job.out / name) == size for name, size in done.files.items()) else None

    def write(self, chunk: Chunk, done: Done) -> None:
        """Note that a chunk is whole. Raises OutputError."""
        write_text(self._path(chunk), json.dumps(asdict(done)))

    def finish(self, chunks: Sequence[Chunk]) -> list[Done]:
        """What became of all chunks, in order; writes the list of errors and removes what belongs to none of them."""
        found = [done for chunk in chunks if (done := self.read(chunk)) is not None]
        errors = [json.dumps(error) + "\n" for done in found for error in done.errors]
        write_text(self.job.out / ERRORS, "".join(errors))
        wanted = {self._path(chunk).name for chunk in chunks} | {"run.json", "model.json"}
        parts = {name for done in found for name in done.files}
        stale = [path for path in self.folder.iterdir() if path.name not in wanted]
        stale += [path for path in self.job.out.glob("part-*.parquet") if path.name not in parts]
        for path in stale:
            path.unlink(missing_ok=True)
        self.clean()
        return found

    def clean(self) -> None:
        """Remove the half files that killed processes left: their names begin as those of files.py."""
        for path in list(_half(self.job.out)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _path(self, chunk: Chunk) -> Path:
        return self.folder / f"{chunk.digest(self.options)}.json"


def _half(out: Path) -> Iterator[Path]:
    return out.rglob(".mobilesam-*")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _check_same(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    differ = [key for key in now if before.get(key) != now[key]]
    if differ:
        key = differ[0]
        raise InputError(
            f"{out} was begun with {key} {before.get(key)!r}, now it is {now[key]!r}; "
            "ask for the same, or choose another folder."
        )
