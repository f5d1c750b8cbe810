"""Berkeley (McGuinness and O'Connor 2010): 100 objects on 96 photos; a second mask of a photo is named NAME#2."""

from __future__ import annotations

from pathlib import Path

from . import pairs
from .base import Dataset, Values


def matches(root: Path) -> bool:
    """True for a folder with this name, and images/ and masks/ in it."""
    return root.name.lower() == "berkeley" and pairs.matches(root)


def load(root: Path, values: Values) -> Dataset:
    """See `pairs.load`; masks of one photo share a group."""
    return pairs.load(root, values, layout="berkeley", group=lambda stem: stem.split("#", maxsplit=1)[0])
