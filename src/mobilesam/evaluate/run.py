"""The loop: each photo is read and embedded once, and all protocols click on that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..embedding import Embedding
from ..errors import InputError, MobileSAMError
from ..predictor import Predictor
from . import journal as journals
from .cache import EmbeddingCache, NoCache
from .datasets import Dataset, Instance, Photo, check_size
from .journal import Journal
from .protocols import Case, Protocol, Row

Progress = Callable[[int, int], None]
"""Called with photos done and photos in all."""


@dataclass(frozen=True)
class Job:
    """What is to be measured."""

    datasets: Sequence[Dataset]
    protocols: Sequence[Protocol]
    seed: int = 0
    limit: int | None = None
    """Only so many photos of each data set, evenly spread."""
    max_objects: int | None = None
    """Only so many objects a photo, drawn at random."""
    about: dict[str, Any] = field(default_factory=dict)
    """What else the figures depend on, for the header: files of boxes."""
    cached: bool = True
    """Keep embeddings on disk."""

    def __post_init__(self) -> None:
        for name in ("limit", "max_objects"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be 1 or more, got {value}.")
        names = [dataset.name for dataset in self.datasets]
        if len(set(names)) < len(names):
            raise InputError(f"Two data sets have the same name: {', '.join(names)}; rename a folder.")
        for protocol in self.protocols:
            for dataset in self.datasets:
                protocol.check(dataset)

    def photos(self) -> list[tuple[Dataset, Photo]]:
        """The photos in order."""
        found: list[tuple[Dataset, Photo]] = []
        for dataset in self.datasets:
            photos = dataset.photos
            if self.limit is not None and self.limit < len(photos):
                photos = [photos[i] for i in np.linspace(0, len(photos) - 1, self.limit).astype(int)]
            found += [(dataset, photo) for photo in photos]
        return found

    def header(self, predictor: Predictor) -> dict[str, Any]:
        """Everything that the rows depend on."""
        info = predictor.backend.info
        sets = [[dataset.name, dataset.layout, len(dataset.photos)] for dataset in self.datasets]
        of_model = {name: getattr(info, name) for name in ("model_id", "runtime", "device", "precision")}
        own = {"data": sets, "seed": self.seed, "limit": self.limit, "max_objects": self.max_objects}
        return {**of_model, **own, **self.about}


def measure(
    predictor: Predictor,
    job: Job,
    *,
    output: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[Journal, list[str]]:
    """All rows, and what was left out: photos that can't be read or whose masks don't fit.

    Raises InputError as `journal.start`, and the first photo's error where not one photo could be measured.
    """
    journal = journals.start(output, job.header(predictor), resume=resume)
    cache = (EmbeddingCache if job.cached else NoCache)(predictor)
    photos = job.photos()
    failed: list[str] = []
    first: MobileSAMError | None = None
    for number, (dataset, photo) in enumerate(photos, start=1):
        places = {(dataset.name, photo.key, p.name): p for p in job.protocols}
        todo = {place: protocol for place, protocol in places.items() if place not in journal.done}
        try:
            for place, rows, notes in _measured(cache, photo, todo, job):
                journal.add(place, photo.group, rows, notes)
        except MobileSAMError as error:
            failed.append(f"{dataset.name}/{photo.key}: {error}")
            first = first or error
        if progress:
            progress(number, len(photos))
    if first is not None and not journal.done:
        raise first
    wanted = {(dataset.name, photo.key) for dataset, photo in photos}
    notes = [note for place, some in journal.notes.items() if place[:2] in wanted for note in some]
    return journal, [*failed, *dict.fromkeys(notes)]


def _measured(
    cache: EmbeddingCache, photo: Photo, todo: dict[journals.Place, Protocol], job: Job
) -> Iterator[tuple[journals.Place, list[Row], list[str]]]:
    """Each protocol's rows on a photo, and what was left out of it."""
    if not todo:
        return
    found = photo.read()
    if not found:
        yield from ((place, [], []) for place, protocol in todo.items() if protocol.needs_objects)
        todo = {place: protocol for place, protocol in todo.items() if not protocol.needs_objects}
        if not todo:
            return
    embedding = embed(cache, photo)
    check_size(found, embedding.image_hw, photo.key)
    whole = [each for each in found if each.mask.any()]
    notes = [f"{photo.key}: {len(found) - len(whole)} empty masks left out"] if len(whole) < len(found) else []
    instances = _some(whole, job, photo)
    memo: dict[Any, Any] = {}
    for place, protocol in todo.items():
        rng = generator(job.seed, *place)
        case = Case(cache.predictor, embedding, instances, rng, photo.key, photo.coco_id, memo)
        rows = [replace(row, data=place[0], photo=photo.key, group=photo.group) for row in protocol.rows(case)]
        yield place, rows, notes


def embed(cache: EmbeddingCache, photo: Photo) -> Embedding:
    """A photo's embedding. Raises SourceNotFoundError, ImageError."""
    return cache.embed(photo.picture.load(), name=photo.picture.name, path=photo.picture.path)


def _some(instances: list[Instance], job: Job, photo: Photo) -> list[Instance]:
    if job.max_objects is None or len(instances) <= job.max_objects:
        return instances
    drawn = generator(job.seed, photo.key).choice(len(instances), job.max_objects, replace=False)
    return [instances[i] for i in sorted(drawn)]


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers of their own for each photo and protocol: order, limits and resuming change none.

    >>> generator(0, "a").integers(1000) == generator(0, "a").integers(1000)
    np.True_
    """
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])
