"""Photos to train on: folders and WebDataset shards (tar files, SA-1B's form), each photo at its key, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import shards
from ..errors import InputError, SourceNotFoundError
from ..image import to_rgb
from ..sources import IMAGE_SUFFIXES
from ..types import U8


@dataclass(frozen=True)
class TrainPhoto:
    """A photo that is not decoded yet."""

    key: str
    """Its path inside what was given; a shard's members are "SHARD.tar/NAME"."""
    load: Callable[[], U8]
    """Decodes it: RGB (H, W, 3) uint8. Raises ImageError and SourceNotFoundError."""


def photos_of(data: str | Path | Sequence[str | Path]) -> dict[str, TrainPhoto]:
    """All photos of folders (with those below), tar shards and single files, by key, in a fixed order.

    Of several folders each key begins with its folder's name, or with the path where two have the same name.
    Raises SourceNotFoundError where one has no photo, InputError for a packed shard.
    """
    roots = [Path(data)] if isinstance(data, (str, Path)) else [Path(one) for one in data]
    if not roots:
        raise InputError("No photos were given; pass a folder or tar shards.")
    names = [root.name for root in roots]
    found: dict[str, TrainPhoto] = {}
    for root in roots:
        prefix = "" if len(roots) == 1 else f"{root.name if names.count(root.name) == 1 else root.as_posix()}/"
        before = len(found)
        for photo in _of_root(root.expanduser()):
            key = photo.key if root.is_file() else prefix + photo.key
            found[key] = TrainPhoto(key, photo.load)
        if len(found) == before:
            raise SourceNotFoundError(
                f"No photos in {str(root)!r}; known suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}."
            )
    return found


def _of_root(root: Path) -> Iterator[TrainPhoto]:
    if not root.exists():
        raise SourceNotFoundError(f"No folder, shard or photo at {str(root)!r}. Check the path.")
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    for path in files:
        key = path.name if path == root else path.relative_to(root).as_posix()
        if shards.is_shard(path):
            for member in shards.members_of(path):
                yield TrainPhoto(f"{key}/{member.name}", member.load)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield TrainPhoto(key, partial(to_rgb, path))
