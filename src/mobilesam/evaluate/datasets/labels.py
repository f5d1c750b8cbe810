"""Label maps: PNGs of 8 or 16 bits in which every value but background and ignore is an object.

A photo may have several, NAME_1.png, NAME_2.png, ..., one an annotator (BSDS500's form).
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ...types import AnyArray
from . import pairs
from .base import Dataset, Instance, Photo, Values, instance, name_of, picture_files, read_mask

VOID = 255
"""What palette label maps of 8 bits use for pixels that don't count."""
SEEN = 5
"""Files that are looked at to tell label maps from masks."""


def matches(root: Path) -> bool:
    """True where a mask has several values besides background and ignore."""
    found = pairs.folders_of(root, pairs.FOLDERS)
    return found is not None and any(_is_label_map(read_mask(path)) for path in islice(picture_files(found[1]), SEEN))


def _is_label_map(pixels: AnyArray) -> bool:
    present = np.unique(pixels)
    return len(present[~np.isin(present, (0, pairs.IGNORE, VOID))]) > 1


def load(root: Path, values: Values, *, layout: str = "labels") -> Dataset:
    """One Photo a photo, with the regions of all its label maps. Raises as `pairs.load`."""
    maps: dict[str, list[Path]] = {}
    pictures = {}
    for path, picture in pairs.matched(root, pairs.FOLDERS):
        maps.setdefault(picture.name, []).append(path)
        pictures[picture.name] = picture
    photos = [
        Photo(Path(name).stem, pictures[name], partial(_read, paths, values), Path(name).stem)
        for name, paths in maps.items()
    ]
    return Dataset(name_of(root), layout, photos)


def _read(paths: list[Path], values: Values) -> list[Instance]:
    found = []
    for path in paths:
        pixels = read_mask(path)
        void = VOID if pixels.dtype == np.uint8 else -1
        ignored = void if values.ignore is None else values.ignore
        ignore = pixels == ignored if ignored >= 0 and (pixels == ignored).any() else None
        layer = path.stem if len(paths) > 1 else ""
        for value in np.unique(pixels).tolist():
            if value not in (values.background, ignored):
                key = f"{layer}/{value}" if layer else str(value)
                found.append(instance(key, pixels == value, ignore=ignore, layer=layer))
    return found
