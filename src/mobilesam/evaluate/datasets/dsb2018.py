"""Nuclei of the Data Science Bowl 2018 (CC0): ID/images/ID.png with one mask a nucleus in ID/masks/, or label maps."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from . import labels
from .base import Dataset, Instance, Photo, Values, instance, name_of, picture_files, pictures_of, read_mask


def matches(root: Path) -> bool:
    """True for Kaggle's folders, or label maps in a folder of that name."""
    return bool(_cases(root)) or (root.name.lower().startswith("dsb2018") and labels.matches(root))


def load(root: Path, values: Values) -> Dataset:
    """One Photo a photomicrograph."""
    cases = _cases(root)
    if not cases:
        return labels.load(root, values, layout="dsb2018")
    photos = [
        Photo(case.name, next(iter(pictures_of(case / "images").values())), partial(_read, case / "masks", values))
        for case in cases
    ]
    return Dataset(name_of(root), "dsb2018", photos)


def _cases(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if (p / "images").is_dir() and (p / "masks").is_dir())


def _read(folder: Path, values: Values) -> list[Instance]:
    return [instance(path.stem, read_mask(path) != values.background) for path in picture_files(folder)]
