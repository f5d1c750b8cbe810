"""What a data set is to everybody else: photos, each with the true masks of some objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from ...errors import ImageError, InputError, SourceNotFoundError
from ...masks import box_of
from ...sources import IMAGE_SUFFIXES, Picture, list_pictures
from ...types import F32, HW, AnyArray, Bool


@dataclass(frozen=True, eq=False)
class Instance:
    """One object of a photo, or one region of a label map."""

    key: str
    """Its name, unique in its photo."""
    mask: Bool
    """(H, W)"""
    box: F32
    """(4,) xyxy: the annotation's where it has one, else the mask's own."""
    area: float
    """The annotation's, in pixels, where it has one; decides whether an object is small, medium or large."""
    ignore: Bool | None = None
    """Pixels (H, W) that count neither way."""
    category: int | None = None
    crowd: bool = False
    layer: str = ""
    """Which of several annotators drew it, where a photo has several label maps."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo whose pixels and masks are read when their turn comes."""

    key: str
    picture: Picture
    read: Callable[[], list[Instance]]
    group: str = ""
    """Photos that are alike, frames of one video, share it; intervals are by group."""
    coco_id: int | None = None
    """The image id, where the set is COCO's JSON."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named list of photos."""

    name: str
    layout: str
    photos: list[Photo]
    coco: dict[str, Any] | None = None
    """The annotation file, where it is COCO's or LVIS' JSON."""


@dataclass(frozen=True)
class Values:
    """Where things are and what the pixels of a mask mean, where the layout's own answer doesn't fit."""

    background: int = 0
    ignore: int | None = None
    """None takes the layout's own; -1 stands for no such value."""
    images: Path | None = None
    """Folder of the photos."""


def instance(key: str, mask: Bool, *, box: F32 | None = None, area: float | None = None, **more: Any) -> Instance:
    """An Instance with the mask's own box and area where the annotation has none."""
    own_area = float(np.count_nonzero(mask)) if area is None else area
    return Instance(key, mask, box_of(mask) if box is None else box, own_area, **more)


def name_of(root: Path) -> str:
    """What a data set is called: its folder, with the folder above where it is one of several parts.

    >>> name_of(Path("sets/coco/val")), name_of(Path("sets/grabcut"))
    ('coco/val', 'grabcut')
    """
    return f"{root.parent.name}/{root.name}" if root.name.lower() in ("train", "val", "test") else root.name


def pictures_of(folder: Path) -> dict[str, Picture]:
    """The pictures of a folder by their names without suffix."""
    return {Path(picture.name).stem: picture for picture in list_pictures(folder)}


def picture_files(folder: Path) -> list[Path]:
    """Mask files of a folder, by name."""
    if not folder.is_dir():
        raise SourceNotFoundError(f"No folder {str(folder)!r} of masks.")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)


def read_mask(path: Path) -> AnyArray:
    """The values (H, W) of a mask file, of 8 or 16 bits; a palette's numbers, not its colours.

    Raises ImageError where it is no such picture.
    """
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise ImageError(f"The mask {path} can't be read: {error}.") from error
    if values.ndim == 3:  # a grey picture stored as RGB
        if not (values[..., :3] == values[..., :1]).all():
            raise ImageError(f"The mask {path} has colours; a mask is a grey or palette picture.")
        values = values[..., 0]
    return values


def check_size(found: list[Instance], image_hw: HW, key: str) -> None:
    """Raises InputError where a mask isn't of the photo's size."""
    for each in found:
        if each.mask.shape != image_hw:
            raise InputError(
                f"{key}: the mask of object {each.key!r} is {each.mask.shape}, the photo {image_hw} (height, width)."
            )


def first_existing(folders: Iterable[tuple[Path, Path]]) -> tuple[Path, Path] | None:
    """The first pair of folders of which both exist."""
    return next(((a, b) for a, b in folders if a.is_dir() and b.is_dir()), None)
