"""Data sets by layout: a table of them, and `load`, which recognises a layout by what is there.

A layout is a module with `matches(root)` and `load(root, values)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ...errors import InputError, SourceNotFoundError
from . import berkeley, coco, davis345, dsb2018, grabcut, labels, lvis, pairs, sa1b
from .base import Dataset, Instance, Photo, Values, check_size

__all__ = ["LAYOUTS", "Dataset", "Instance", "Photo", "Values", "check_size", "load"]


class Layout(Protocol):
    """What a layout's module has."""

    def matches(self, root: Path) -> bool:
        """True where the layout is recognised at a path."""

    def load(self, root: Path, values: Values) -> Dataset:
        """The data set at a path."""


LAYOUTS: dict[str, Layout] = {  # the more particular ones first: the first that matches is taken
    "lvis": lvis,
    "coco": coco,
    "sa1b": sa1b,
    "davis345": davis345,
    "grabcut": grabcut,
    "berkeley": berkeley,
    "dsb2018": dsb2018,
    "labels": labels,
    "pairs": pairs,
}


def load(root: str | Path, layout: str | None = None, values: Values | None = None) -> Dataset:
    """The data set at a path, by `layout` or by what is recognised there.

    Raises SourceNotFoundError where nothing is there, InputError for an unknown layout or none that fits.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise SourceNotFoundError(f"No data set at {str(root)!r}. Check the path.")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"Unknown layout {layout!r}; choose one of: {', '.join(LAYOUTS)}.")
    name = layout or next((name for name, module in LAYOUTS.items() if module.matches(path)), None)
    if name is None:
        raise InputError(f"{path} has none of the layouts {', '.join(LAYOUTS)}; see docs/evaluation.md.")
    dataset = LAYOUTS[name].load(path, values or Values())
    if not dataset.photos:
        raise InputError(f"{path} has no photo with masks.")
    return dataset
