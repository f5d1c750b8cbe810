"""Photos to train on: folders and WebDataset shards (tar files, SA-1B's form), each photo at its key, in any order.

A shard is never unpacked: its table of members is read once, and a photo's bytes when their turn comes.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import settings
from ..errors import ImageError, ImageTooLargeError, InputError, SourceNotFoundError
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
        if path.name.endswith((".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")):
            raise InputError(f"{path} is a packed tar; unpack it to .tar, so that any photo can be read at once.")
        if path.suffix == ".tar":
            yield from _of_shard(path, key)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield TrainPhoto(key, partial(to_rgb, path))


def _of_shard(path: Path, key: str) -> Iterator[TrainPhoto]:
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if member.isfile() and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    place = partial(_member, path, member.offset_data, member.size, member.name)
                    yield TrainPhoto(f"{key}/{member.name.removeprefix('./')}", place)
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path} can't be read as a tar file: {error}. Get it again.") from error


def _member(path: Path, offset: int, size: int, name: str) -> U8:
    """The photo at a place in a shard; several threads may read one shard."""
    what = f"{name} in {path}"
    if size > settings.max_bytes():
        raise ImageTooLargeError(f"{what} has {size} bytes. Raise MOBILESAM_MAX_BYTES to allow it.")
    try:
        with path.open("rb") as handle:
            handle.seek(offset, os.SEEK_SET)
            data = handle.read(size)
    except OSError as error:
        raise ImageError(f"{what} can't be read: {error}.") from error
    try:
        return to_rgb(data)
    except ImageError as error:
        raise type(error)(f"{what}: {error}") from error
