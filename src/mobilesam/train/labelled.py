"""Photos with true masks, from every layout that `val` reads, as the decoder sees them: low-resolution cells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import ImageError, MobileSAMError, SourceNotFoundError
from ..evaluate.datasets import Dataset, Instance, Photo, Values, check_size
from ..evaluate.datasets import load as load_dataset
from ..geometry import MASK_STRIDE, Letterbox
from ..types import HW, U8, AnyArray, Bool, Int
from .classes import categories_of, numbers_of

SMALLEST = 8
"""Objects of fewer low-resolution cells are left out: what they look like is gone at this scale."""
MOST_BYTES = 1_000_000_000
"""Masks that were made are kept in memory up to here; a photo's 50 objects take 0.4 MB."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of a photo, eight cells a byte."""

    packed: U8
    """(N, S/4 * S/4 / 8)"""
    ignored: U8
    """(N, S/4 * S/4 / 8): cells that count neither way."""
    classes: Int
    """(N,); -1 where there is none."""
    image_hw: HW

    def masks(self, chosen: Int, side: int) -> tuple[Bool, Bool]:
        """Masks and ignored cells (n, side, side) of some of them."""
        found = [np.unpackbits(bits[chosen], axis=1).reshape(-1, side, side) for bits in (self.packed, self.ignored)]
        return found[0].astype(bool), found[1].astype(bool)


class Labelled:
    """Photos of one or several data sets, in the order of the sets."""

    def __init__(self, datasets: Sequence[Dataset], size: int, *, classes: bool = False) -> None:
        self.photos: list[tuple[Dataset, Photo]] = [(one, photo) for one in datasets for photo in one.photos]
        self.size = size
        self.names = categories_of(datasets) if classes else {}
        self._numbers = {one.name: numbers_of(one, self.names) for one in datasets} if classes else {}
        self._kept: dict[tuple[int, bool], Objects] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.photos)

    def key(self, index: int) -> str:
        """The set's name and the photo's."""
        dataset, photo = self.photos[index]
        return f"{dataset.name}/{photo.key}"

    def digest(self) -> str:
        """sha256 over names and sizes of the photos' files and the annotations that stand in a JSON."""
        digest = hashlib.sha256()
        for index, (_, photo) in enumerate(self.photos):
            path = photo.picture.path
            digest.update(f"{self.key(index)} {path.stat().st_size if path and path.is_file() else 0}\n".encode())
        for coco in {id(one.coco): one.coco for one, _ in self.photos if one.coco}.values():
            digest.update(repr([(a.get("id"), a.get("category_id")) for a in coco["annotations"]]).encode())
        return digest.hexdigest()

    def image(self, index: int, *, flipped: bool) -> U8:
        """The photo (H, W, 3), RGB. Raises ImageError."""
        try:
            image = self.photos[index][1].picture.load()
        except SourceNotFoundError as error:
            raise ImageError(str(error)) from error
        return np.ascontiguousarray(image[:, ::-1]) if flipped else image

    def objects(self, index: int, *, flipped: bool) -> Objects:
        """The photo's objects. Raises ImageError where they can't be read or are all too small."""
        kept = self._kept.get((index, flipped))
        if kept is None:
            kept = self._read(index, flipped)
            if self._bytes < MOST_BYTES:
                self._kept[index, flipped] = kept
                self._bytes += kept.packed.nbytes + kept.ignored.nbytes
        return kept

    def _read(self, index: int, flipped: bool) -> Objects:
        dataset, photo = self.photos[index]
        try:
            instances = [one for one in photo.read() if not one.crowd]
            if instances:
                check_size(instances, self.image(index, flipped=False).shape[:2], photo.key)
        except MobileSAMError as error:
            raise ImageError(f"{self.key(index)}: {error}") from error
        numbers = self._numbers.get(dataset.name, {})
        rows = [(*self._cells(one, flipped), numbers.get(one.category or 0, -1)) for one in instances]
        rows = [row for row in rows if np.count_nonzero(row[0]) >= SMALLEST]
        if not rows:
            raise ImageError(f"{self.key(index)} has no object of at least {SMALLEST} low-resolution cells.")
        masks, ignored = (
            np.packbits(np.stack([row[i] for row in rows]).reshape(len(rows), -1), axis=1) for i in (0, 1)
        )
        height, width = instances[0].mask.shape
        return Objects(masks, ignored, np.array([row[2] for row in rows]), (height, width))

    def _cells(self, instance: Instance, flipped: bool) -> tuple[Bool, Bool]:
        """An object's mask and its ignored pixels in low-resolution cells."""
        height, width = instance.mask.shape
        letterbox = Letterbox((height, width), self.size)
        side = self.size // MASK_STRIDE

        def cells(pixels: AnyArray | None) -> Bool:
            if pixels is None:
                return np.zeros((side, side), bool)
            return np.asarray(letterbox.downsample((pixels[:, ::-1] if flipped else pixels).astype(np.float32)) > 0.5)

        return cells(instance.mask), cells(instance.ignore)


Source: TypeAlias = str | Path | Dataset


def labelled(
    data: Source | Sequence[Source],
    size: int,
    *,
    layout: str | None = None,
    values: Values | None = None,
    classes: bool = False,
) -> Labelled:
    """The photos of data sets for a model of input size `size`. Raises as `evaluate.datasets.load`."""
    sources = [data] if isinstance(data, (str, Path, Dataset)) else list(data)
    sets = [one if isinstance(one, Dataset) else load_dataset(one, layout, values) for one in sources]
    return Labelled(sets, size, classes=classes)
