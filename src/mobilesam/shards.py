"""Pictures in WebDataset shards (tar files, SA-1B's form), each read at its place.

A shard is never unpacked: its table of members is read once, and a picture's bytes when their turn comes.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import settings
from .errors import ImageError, ImageTooLargeError, InputError
from .image import to_rgb
from .sources import IMAGE_SUFFIXES
from .types import U8

PACKED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")


@dataclass(frozen=True)
class Member:
    """A picture in a shard."""

    shard: Path
    name: str
    """Its path inside the shard, as the shard has it: never use it as a path on disk."""
    offset: int
    size: int

    def load(self) -> U8:
        """RGB (H, W, 3) uint8; several threads may read one shard. Raises ImageError, ImageTooLargeError."""
        what = f"{self.name} in {self.shard}"
        if self.size > settings.max_bytes():
            raise ImageTooLargeError(f"{what} has {self.size} bytes. Raise MOBILESAM_MAX_BYTES to allow it.")
        try:
            with self.shard.open("rb") as handle:
                handle.seek(self.offset, os.SEEK_SET)
                data = handle.read(self.size)
        except OSError as error:
            raise ImageError(f"{what} can't be read: {error}.") from error
        try:
            return to_rgb(data)
        except ImageError as error:
            raise type(error)(f"{what}: {error}") from error


def is_shard(path: Path) -> bool:
    """True for a name that ends as tar files do, packed ones too.

    >>> is_shard(Path("sa_000001.tar")), is_shard(Path("photo.jpg"))
    (True, False)
    """
    return path.name.endswith((".tar", *PACKED))


def members_of(shard: Path) -> Iterator[Member]:
    """The pictures of a shard in its order. Raises InputError for a packed or damaged one."""
    if shard.name.endswith(PACKED):
        raise InputError(f"{shard} is a packed tar; unpack it to .tar, so that any photo can be read at once.")
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if member.isfile() and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield Member(shard, member.name.removeprefix("./"), member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{shard} can't be read as a tar file: {error}. Get it again.") from error
