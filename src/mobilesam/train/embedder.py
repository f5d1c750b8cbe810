"""Stage 0: the teacher's embeddings of photos on disk, so that no training step runs the teacher's encoder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import backends
from ..ahead import ahead
from ..backends.checkpoint import Checkpoint
from ..catalog import locate
from ..catalog.models import DEFAULT
from ..errors import ImageError, InputError, MobileSAMError, OutputError, SourceNotFoundError
from ..predictor import Predictor
from ..types import HW, U8, AnyArray, Precision
from .embeddings import INDEX, Index, is_whole, read_index, write_shard
from .photos import TrainPhoto, photos_of

MEASURED = 4
"""The estimate stands after so many photos; the first, which warms up, doesn't count."""


def embed(
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    teacher: str | Path = DEFAULT,
    *,
    flips: bool = False,
    shard_photos: int = 128,
    runtime: str = "auto",
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Index:
    """Embed all photos of `data` (see `photos_of`) into shards in the folder `output`; what is there already stays.

    `teacher` is a name of the catalog or a weights file; `flips` stores each photo's mirror image too. `say` is told
    disk need and speed once the first photos have been measured; `progress` is called with photos done and in all.
    A photo that can't be read is left out and listed in the index.

    Raises SourceNotFoundError (no photos), InputError (the folder holds another teacher's), OutputError (a full disk;
    call again to go on), and the first photo's error where none can be read.
    """
    if shard_photos < 1:
        raise InputError(f"shard_photos must be 1 or more, got {shard_photos}.")
    photos = photos_of(data)
    predictor = Predictor(
        backends.load(Checkpoint(locate(teacher)), runtime=runtime, device=device, precision=precision, threads=threads)
    )
    folder = Path(output)
    index = _begun(folder, predictor, flips)
    done = set(index.keys)
    todo = [photo for key, photo in photos.items() if key not in done]
    writer = _Writer(folder, index, shard_photos, len(done) + len(todo))
    try:
        for count, (photo, found) in enumerate(_embedded(predictor, todo, flips), start=1):
            writer.add(photo.key, found)
            if say and count == min(MEASURED, len(todo)):
                say(writer.estimate(len(todo) - count))
            if progress:
                progress(len(done) + count, len(done) + len(todo))
        writer.flush()
    except OutputError as error:
        raise OutputError(
            f"{error} {len(index.keys)} of {len(photos)} photos are embedded and kept in {folder}; "
            "free some space and run the same command again to go on."
        ) from error
    if not index.keys:
        raise ImageError(f"Not one of {len(photos)} photos can be read: {next(iter(index.skipped.values()))}")
    return index


def _begun(folder: Path, predictor: Predictor, flips: bool) -> Index:
    """The index of an earlier run less shards that aren't whole, or an empty one."""
    info = predictor.backend.info
    made_by = {"runtime": info.runtime, "device": info.device, "precision": info.precision}
    if not (folder / INDEX).exists():
        return Index(info.model_id, info.img_size, flips, made_by)
    index = read_index(folder)
    if (index.teacher, index.flips) != (info.model_id, flips):
        raise InputError(
            f"{folder} holds embeddings by {index.teacher} with{'' if index.flips else 'out'} flips, asked for are "
            f"{info.model_id} with{'' if flips else 'out'} flips. Choose another folder."
        )
    index.shards = [shard for shard in index.shards if is_whole(folder, shard)]
    index.skipped = {}
    return index


Found = tuple[HW, list[AnyArray]] | str
"""A photo's size and its rows, or why there are none."""


def _embedded(predictor: Predictor, photos: Sequence[TrainPhoto], flips: bool) -> Iterator[tuple[TrainPhoto, Found]]:
    def read(photo: TrainPhoto) -> U8 | MobileSAMError:
        try:
            return photo.load()
        except (ImageError, SourceNotFoundError) as error:
            return error

    for photo, image in zip(photos, ahead(read, photos, workers=2, most=4), strict=True):
        if isinstance(image, MobileSAMError):
            yield photo, str(image)
            continue
        variants = [image, np.ascontiguousarray(image[:, ::-1])] if flips else [image]
        rows = [np.asarray(predictor.embed(one).features_bchw[0], np.float16) for one in variants]
        if all(np.isfinite(row).all() for row in rows):
            yield photo, (image.shape[:2], rows)
        else:
            yield photo, "the teacher's embedding has values that are no finite float16"


@dataclass
class _Writer:
    """Gathers rows and writes a shard, then the index, whenever there are enough."""

    folder: Path
    index: Index
    shard_photos: int
    total: int
    keys: list[str] = field(default_factory=list)
    sizes: list[HW] = field(default_factory=list)
    rows: list[AnyArray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    row_bytes: int = 0

    def add(self, key: str, found: Found) -> None:
        self.times.append(time.perf_counter())
        if isinstance(found, str):
            self.index.skipped[key] = found
            return
        size, rows = found
        self.keys.append(key)
        self.sizes.append(size)
        self.rows += rows
        self.row_bytes = rows[0].nbytes
        if len(self.keys) == self.shard_photos:
            self.flush()

    def flush(self) -> None:
        if self.keys:
            used = {shard.file for shard in self.index.shards}
            number = next(n for n in range(len(used) + 1) if f"shard-{n:05d}.safetensors" not in used)
            shard = write_shard(self.folder, number, self.keys, self.sizes, self.rows)
            self.index.shards.append(shard)
            self.keys, self.sizes, self.rows = [], [], []
        self.index.save(self.folder)

    def estimate(self, left: int) -> str:
        """Disk need of the whole, and speed, from the photos so far."""
        variants, row = self.index.variants, self.row_bytes
        need, free = self.total * variants * row, shutil.disk_usage(_existing(self.folder)).free
        text = f"{self.total} photos x {variants} = {need / 1e9:.2f} GB in {self.folder} ({free / 1e9:.0f} GB free)"
        if len(self.times) > 1 and self.times[-1] > self.times[0]:
            speed = (len(self.times) - 1) / (self.times[-1] - self.times[0])
            text += f"; {speed:.2f} photos/s, {left / speed / 60:.0f} minutes to go"
        return text + (". NOT ENOUGH SPACE" if left * variants * row > free else "")


def _existing(folder: Path) -> Path:
    """The nearest folder that exists already."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
