"""SA-1B (Kirillov et al. 2023): beside each photo sa_N.jpg a JSON of its masks as run lengths.

EdgeSAM's SA-1K is the first 1,000 photos of one archive with 64 masks each, drawn with replacement by PyTorch's
generator; `max_objects=64` draws as many without replacement, by NumPy's.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path

from ...errors import SourceNotFoundError
from ...image import to_rgb
from ...sources import IMAGE_SUFFIXES, Picture
from . import coco
from .base import Dataset, Instance, Photo, Values, name_of


def matches(root: Path) -> bool:
    """True for a folder in which a JSON file has a photo of the same name beside it."""
    return root.is_dir() and any(_photo_of(path, None) for path in islice(sorted(root.glob("*.json")), 5))


def load(root: Path, values: Values) -> Dataset:
    """One Photo a JSON file. Raises SourceNotFoundError where none has a photo."""
    files = sorted(root.glob("*.json"))
    found = [(path, _photo_of(path, values.images)) for path in files]
    if not any(photo for _, photo in found):
        raise SourceNotFoundError(f"{root} has {len(files)} JSON files and no photo beside them; pass --images.")
    photos = []
    for path, photo in found:
        place = photo or path.with_suffix(".jpg")  # a missing one is reported when its turn comes
        picture = Picture(place.name, place, partial(to_rgb, place), place)
        photos.append(Photo(path.stem, picture, partial(_read, path), path.stem))
    return Dataset(name_of(root), "sa1b", photos)


def _photo_of(path: Path, folder: Path | None) -> Path | None:
    stem = (folder or path.parent) / path.stem
    return next((p for s in sorted(IMAGE_SUFFIXES) if (p := stem.with_name(stem.name + s)).is_file()), None)


def _read(path: Path) -> list[Instance]:
    data = coco.read_json(path)
    annotations = data.get("annotations", [])
    size = data.get("image", {})
    hw = (int(size.get("height", 0)), int(size.get("width", 0)))
    return coco.instances(annotations, hw, path.stem)
