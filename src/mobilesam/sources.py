"""What `predict` accepts, as one picture after another, each decoded only when its turn comes."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import settings
from .errors import InputError, SourceNotFoundError
from .image import Windows, open_windows, to_rgb
from .types import U8

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


@dataclass(frozen=True)
class Picture:
    """A picture that is not decoded yet."""

    name: str
    path: Path | None
    load: Callable[[], U8]
    """Decodes it: RGB (H, W, 3) uint8. Raises ImageError and SourceNotFoundError."""
    source: Any = None
    """What it was made from, where that can be read part by part too."""

    def windows(self) -> Windows:
        """The picture for reading part by part. Raises as `load`."""
        return open_windows(self.load() if self.source is None else self.source)


def list_pictures(source: Any, *, allow_urls: bool = False) -> list[Picture]:
    """The pictures of a source, in a fixed order; nothing is decoded.

    A source is a path, a folder (its pictures by name), a glob (`**` goes down), bytes, a binary file
    object, a PIL image, an array (H, W[, C]), an array (N, H, W, C), or a list of these.
    http(s) addresses are fetched, when their turn comes, only with `allow_urls`.
    Raises SourceNotFoundError for a folder or glob without pictures, InputError for an address.
    """
    pictures = list(_walk(source, allow_urls))
    return [picture if picture.name else replace(picture, name=f"image{i}") for i, picture in enumerate(pictures)]


def is_many(source: Any) -> bool:
    """True for a source that stands for any number of pictures: a list, a folder, a glob, a stack.

    >>> is_many("photo.jpg"), is_many("*.jpg"), is_many(["photo.jpg"])
    (False, True, True)
    """
    if isinstance(source, (list, tuple)):
        return True
    if isinstance(source, (str, Path)):
        return Path(source).is_dir() or _is_glob(source)
    return isinstance(source, np.ndarray) and source.ndim == 4


def _walk(source: Any, allow_urls: bool) -> Iterator[Picture]:
    if isinstance(source, (list, tuple)):
        for item in source:
            yield from _walk(item, allow_urls)
    elif isinstance(source, np.ndarray) and source.ndim == 4:
        for image in source:
            yield Picture("", None, partial(to_rgb, image), image)
    elif isinstance(source, str) and source.startswith(("http://", "https://")):
        yield _from_url(source, allow_urls)
    elif isinstance(source, (str, Path)):
        yield from _from_path(source)
    else:
        yield Picture("", None, partial(to_rgb, source), source)


def _from_path(source: str | Path) -> Iterator[Picture]:
    path = Path(source).expanduser()
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    elif _is_glob(source):
        found = sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())
    else:
        found = [path]
    if not found:
        raise SourceNotFoundError(
            f"No pictures in {str(source)!r}; known suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    for file in found:
        yield Picture(file.name, file, partial(to_rgb, file), file)


def _is_glob(source: str | Path) -> bool:
    """A pattern; a file whose name has brackets or stars in it is a file."""
    return glob.has_magic(str(source)) and not Path(source).exists()


def _from_url(url: str, allow_urls: bool) -> Picture:
    if not allow_urls:
        raise InputError(f"{url} is not fetched: pass allow_urls=True if you want that, or a local file.")
    name = url.split("?", maxsplit=1)[0].rstrip("/").rsplit("/", 1)[-1] or "image"
    return Picture(name, None, partial(_fetch, url))


def _fetch(url: str) -> U8:
    from .catalog.download import read_url  # urllib: 35 ms of a cold start that fetches nothing

    return to_rgb(read_url(url, settings.max_bytes()))
