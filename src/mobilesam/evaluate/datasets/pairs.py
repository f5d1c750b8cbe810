"""Folders of photos and masks of the same names: one object a mask, values other than background are object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...errors import InputError
from ...sources import Picture
from .base import (
    Dataset,
    Instance,
    Photo,
    Values,
    first_existing,
    instance,
    name_of,
    picture_files,
    pictures_of,
    read_mask,
)

FOLDERS = (("images", "masks"), ("img", "gt"), ("image", "mask"), ("images", "labels"))
IGNORE = 128
"""What the interactive benchmarks' masks use for pixels that don't count."""


def matches(root: Path) -> bool:
    """True for a folder with a folder of photos and a folder of masks."""
    return folders_of(root, FOLDERS) is not None


def folders_of(root: Path, names: Sequence[tuple[str, str]]) -> tuple[Path, Path] | None:
    """The folders of photos and masks, by the first pair of names that is there."""
    return first_existing((root / images, root / masks) for images, masks in names)


def load(
    root: Path,
    values: Values,
    *,
    layout: str = "pairs",
    names: Sequence[tuple[str, str]] = FOLDERS,
    group: Callable[[str], str] = str,
) -> Dataset:
    """The photos that have a mask. Raises InputError where the folders, or the photo of a mask, aren't there."""
    photos = [
        Photo(mask.stem, picture, partial(_read, mask, values), group(mask.stem))
        for mask, picture in matched(root, names)
    ]
    return Dataset(name_of(root), layout, photos)


def matched(root: Path, names: Sequence[tuple[str, str]]) -> list[tuple[Path, Picture]]:
    """Each mask file with its photo: of the same name, or the mask's name less its last "_k" or "#k"."""
    found = folders_of(root, names)
    if found is None:
        wanted = " or ".join(f"{images}/ and {masks}/" for images, masks in names)
        raise InputError(f"{root} has no folders {wanted}; name another layout.")
    pictures = pictures_of(found[0])
    pairs, lonely = [], []
    for mask in picture_files(found[1]):
        stems = (mask.stem, mask.stem.rsplit("#", 1)[0], mask.stem.rsplit("_", 1)[0])
        picture = next((pictures[stem] for stem in stems if stem in pictures), None)
        if picture is None:
            lonely.append(mask.name)
        else:
            pairs.append((mask, picture))
    if lonely or not pairs:
        raise InputError(f"{found[1]} has {len(lonely)} masks without a photo in {found[0]}: {', '.join(lonely[:3])}.")
    return pairs


def _read(path: Path, values: Values) -> list[Instance]:
    pixels = read_mask(path)
    ignored = IGNORE if values.ignore is None else values.ignore
    ignore = pixels == ignored if ignored >= 0 else None
    mask = pixels != values.background
    if ignore is not None:
        mask &= ~ignore
    return [instance("0", mask, ignore=ignore if ignore is not None and ignore.any() else None)]
