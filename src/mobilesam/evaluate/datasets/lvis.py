"""LVIS v1's JSON (Gupta et al. 2019): COCO's, with categories that are known absent or not exhaustively drawn."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from . import coco
from .base import Dataset, Values


def matches(root: Path) -> bool:
    """True for a JSON whose photos list the categories that are known to be absent."""
    path = _file(root)
    if path is None:
        return False
    images = coco.read_json(path).get("images") or [{}]
    return "neg_category_ids" in images[0]


def load(root: Path, values: Values) -> Dataset:
    """See `coco.load`."""
    path = _file(root)
    if path is None:
        raise InputError(f"{root} has no annotation file lvis_*.json or instances.json.")
    return coco.load(path, values, layout="lvis")


def _file(root: Path) -> Path | None:
    found = sorted(root.glob("lvis_*.json")) if root.is_dir() else []
    return found[0] if found else coco.file_of(root)
