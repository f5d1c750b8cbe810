"""GrabCut (Rother et al. 2004): 50 photos, one object each, 128 an unsure border.

As RITM distributes it (data_GT, boundary_GT), or as images/ and masks/ in a folder of that name.
"""

from __future__ import annotations

from pathlib import Path

from . import pairs
from .base import Dataset, Values

FOLDERS = (("data_GT", "boundary_GT"), ("images", "masks"))


def matches(root: Path) -> bool:
    """True for RITM's folders, or a folder with this name."""
    return (root / "boundary_GT").is_dir() or (root.name.lower() == "grabcut" and pairs.matches(root))


def load(root: Path, values: Values) -> Dataset:
    """See `pairs.load`."""
    return pairs.load(root, values, layout="grabcut", names=FOLDERS)
