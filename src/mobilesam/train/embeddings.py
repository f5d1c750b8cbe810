"""Teacher embeddings on disk: safetensors shards, and an index that says what is in them and who made them.

FOLDER/index.json and FOLDER/shard-00000.safetensors, ...: each shard one tensor `features` (rows, 256, h, w) of
float16, a row a photo, or two where mirrored photos are stored too. Float16 takes bfloat16's two bytes with eight times
finer steps; the neck's LayerNorm keeps values far inside its range.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .._optional import require
from ..catalog.store import digest_of
from ..errors import InputError, SourceNotFoundError
from ..files import write_bytes, write_text
from ..types import F32, HW, AnyArray

FORMAT = 1
INDEX = "index.json"


@dataclass(frozen=True)
class Shard:
    """A file of embeddings."""

    file: str
    sha256: str
    keys: list[str]
    """Photos in the order of their rows."""
    sizes: list[HW]
    """Each photo's (height, width)."""


@dataclass
class Index:
    """What a folder of embeddings holds."""

    teacher: str
    """Architecture and weights that made them: `Checkpoint.model_id`."""
    img_size: int
    """Side of the teacher's square."""
    flips: bool
    """True where each photo has a second row, of its mirror image."""
    made_by: dict[str, str] = field(default_factory=dict)
    """Runtime, device and precision; they change values by rounding only."""
    shards: list[Shard] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Photos that couldn't be read, and why."""

    @property
    def variants(self) -> int:
        """Rows a photo."""
        return 2 if self.flips else 1

    @property
    def keys(self) -> list[str]:
        """All photos, shard by shard."""
        return [key for shard in self.shards for key in shard.keys]

    def save(self, folder: Path) -> None:
        """Write the index atomically. Raises OutputError."""
        write_text(folder / INDEX, json.dumps({"format": FORMAT, **asdict(self)}))


def read_index(folder: Path) -> Index:
    """The index of a folder. Raises SourceNotFoundError, InputError where it is none."""
    path = folder / INDEX
    if not path.is_file():
        raise SourceNotFoundError(f"No embeddings at {str(folder)!r}; make them with `mobilesam train embed`.")
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise InputError(f"{path} has another format than this version's {FORMAT}; embed the photos again.")
        shards = [Shard(**{**one, "sizes": [(h, w) for h, w in one["sizes"]]}) for one in values.pop("shards")]
        return Index(**values, shards=shards)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no index of embeddings ({error}); embed the photos again.") from error


def write_shard(folder: Path, number: int, keys: Sequence[str], sizes: Sequence[HW], rows: Sequence[AnyArray]) -> Shard:
    """Embeddings (256, h, w) of photos as a file that appears whole. Raises OutputError."""
    # safetensors writes the memory as it lies, and a stack of transposed rows lies transposed.
    features = np.ascontiguousarray(np.stack(rows), np.float16)
    # As bytes first: written by Python, a full disk is an error; safetensors maps the file, where it is a crash.
    data = require("safetensors.numpy", None, "Writing embeddings").save({"features": features})
    name = f"shard-{number:05d}.safetensors"
    write_bytes(folder / name, data)
    return Shard(name, hashlib.sha256(data).hexdigest(), list(keys), list(sizes))


def is_whole(folder: Path, shard: Shard) -> bool:
    """True where the shard's file is there with the bytes that were written."""
    path = folder / shard.file
    return path.is_file() and digest_of(path) == shard.sha256


class Embeddings:
    """Embeddings by photo; several threads may read.

    A shard's hash is checked when it is first read, so a hundred gigabytes aren't read twice before the first step.
    Raises InputError for embeddings of another teacher than `teacher`, SourceNotFoundError.
    """

    def __init__(self, folder: str | Path, teacher: str | None = None) -> None:
        self.folder = Path(folder)
        self.index = read_index(self.folder)
        if teacher is not None and teacher != self.index.teacher:
            raise InputError(
                f"The embeddings in {self.folder} were made by {self.index.teacher}, the teacher is {teacher}. "
                "Pass that teacher, or embed the photos again into another folder."
            )
        self._places = {key: (shard, row) for shard in self.index.shards for row, key in enumerate(shard.keys)}
        self._open: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def size(self, key: str) -> HW:
        """A photo's (height, width)."""
        shard, row = self._places[key]
        return shard.sizes[row]

    def read(self, key: str, *, flipped: bool = False) -> F32:
        """The embedding (256, h, w) of a photo or of its mirror image. Raises InputError for a damaged shard."""
        shard, row = self._places[key]
        rows = self._rows(shard)
        return np.asarray(rows[row * self.index.variants + int(flipped)], np.float32)

    def digest(self) -> str:
        """sha256 of everything: the shards' own hashes in order."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.index.shards).encode()).hexdigest()

    def _rows(self, shard: Shard) -> Any:
        with self._lock:
            if shard.file not in self._open:
                if not is_whole(self.folder, shard):
                    raise InputError(
                        f"{self.folder / shard.file} is missing or damaged (its hash differs from the index). "
                        "Run `mobilesam train embed` again: it makes what is missing."
                    )
                safe_open = require("safetensors", None, "Reading embeddings").safe_open
                file = safe_open(self.folder / shard.file, framework="np")
                self._open[shard.file] = file.get_slice("features")
            return self._open[shard.file]
