"""What `predict` accepts, as one picture after another, each decoded only when its turn comes."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import settings, video
from .ahead import made_ahead
from .embedding import Embedding
from .errors import ImageError, InputError, SourceNotFoundError
from .image import Windows, open_windows, to_rgb
from .types import U8, AnyArray

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


@dataclass(frozen=True)
class Picture:
    """A picture that is not decoded yet (a frame of a video is)."""

    name: str
    path: Path | None
    load: Callable[[], U8]
    """Decodes it: RGB (H, W, 3) uint8. Raises ImageError and SourceNotFoundError."""
    source: Any = None
    """What it was made from, where that can be read part by part too."""

    def decoded(self) -> Picture:
        """The same picture with its pixels in memory. Raises as `load`."""
        pixels = self.load()
        return replace(self, load=lambda: pixels)

    def windows(self) -> Windows:
        """The picture for reading part by part. Raises as `load`."""
        return open_windows(self.load() if self.source is None else self.source)


def iter_pictures(source: Any, *, allow_urls: bool = False, every: int = 1) -> Iterator[Picture]:
    """The pictures of a source, one after another, in a fixed order.

    A source is a path, a folder (its pictures by name), a glob (`**` goes down), bytes, a binary file
    object, a PIL image, an array (H, W[, C]), an array (N, H, W, C), a PyTorch tensor ([N, ]C, H, W), uint8 or
    0..1, a Picture, a video file, the number of a camera, or a list of these. Of videos and cameras every
    `every`-th frame is taken. http(s) addresses are fetched, when their turn comes, only with `allow_urls`.
    Raises SourceNotFoundError for a folder or glob without pictures, InputError for an address.
    """
    return _named(_walk(source, allow_urls, every))


def iter_decoded(source: Any, *, allow_urls: bool = False) -> Iterator[Picture]:
    """As `iter_pictures`, each picture decoded by a thread while the one before it is worked on.

    Two decoded pictures are held at a time. A lone one, and a camera's, are decoded when asked: a camera that is read
    ahead shows what was. Raises in a picture's place what its `load` raises.
    """
    pictures = iter_pictures(source, allow_urls=allow_urls)
    if is_endless(source) or not is_many(source):
        return pictures
    return made_ahead(picture.decoded() for picture in pictures)


def iter_items(source: Any, *, allow_urls: bool = False, decoded: bool = True) -> Iterator[Embedding | Picture]:
    """Embeddings as they are, everything else as pictures, with `decoded` the next one ahead (`iter_decoded`)."""
    if isinstance(source, Embedding):
        yield source
    elif isinstance(source, (list, tuple)) and any(isinstance(item, Embedding) for item in source):
        for item in source:
            yield from iter_items(item, allow_urls=allow_urls, decoded=decoded)
    else:
        yield from (iter_decoded if decoded else iter_pictures)(source, allow_urls=allow_urls)


def list_pictures(source: Any, *, allow_urls: bool = False) -> list[Picture]:
    """The pictures of a source at once; nothing is decoded.

    Raises InputError for videos and cameras, whose frames come only one after another, and as `iter_pictures`.
    """
    return list(_named(_walk(source, allow_urls, None)))


def is_many(source: Any) -> bool:
    """True for a source that stands for any number of pictures: a list, a folder, a glob, a stack, a video.

    >>> is_many("photo.jpg"), is_many("*.jpg"), is_many(["photo.jpg"])
    (False, True, True)
    """
    if isinstance(source, (list, tuple)) or is_endless(source):
        return True
    if isinstance(source, (str, Path)):
        return Path(source).is_dir() or _is_glob(source) or video.is_video(source)
    return _is_stack(source)


def is_endless(source: Any) -> bool:
    """True for a camera, and for a list with one.

    >>> is_endless(0), is_endless(["a.jpg", 0]), is_endless("a.jpg")
    (True, True, False)
    """
    if isinstance(source, (list, tuple)):
        return any(map(is_endless, source))
    return isinstance(source, (int, np.integer)) and not isinstance(source, bool)


def _named(pictures: Iterator[Picture]) -> Iterator[Picture]:
    """Those without a name are numbered."""
    for i, picture in enumerate(pictures):
        yield picture if picture.name else replace(picture, name=f"image{i}")


def _walk(source: Any, allow_urls: bool, every: int | None) -> Iterator[Picture]:
    """Without `every`, InputError for videos and cameras."""
    if isinstance(source, Picture):
        yield source
    elif isinstance(source, (list, tuple)):
        for item in source:
            yield from _walk(item, allow_urls, every)
    elif _is_stack(source):
        for image in source:
            yield from _walk(image, allow_urls, every)
    elif isinstance(source, str) and source.startswith(("http://", "https://")):
        yield _from_url(source, allow_urls)
    elif isinstance(source, (str, Path)):
        yield from _from_path(source, every)
    elif is_endless(source):
        yield from _from_video(int(source), every)
    elif _is_tensor(source):
        yield Picture("", None, lambda: to_rgb(_channels_last(source)))
    else:
        yield Picture("", None, partial(to_rgb, source), source)


def files_of(source: str | Path) -> list[Path]:
    """The files that a path stands for: a folder's pictures by name, a glob's files, or the one file.

    Raises SourceNotFoundError for a folder or glob without any.
    """
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
    return found


def _from_path(source: str | Path, every: int | None) -> Iterator[Picture]:
    for file in files_of(source):
        if video.is_video(file):
            yield from _from_video(file, every)
        else:
            yield Picture(file.name, file, partial(to_rgb, file), file)


def _from_video(source: Path | int, every: int | None) -> Iterator[Picture]:
    """Frames named after their video and number, "walk_000001.jpg"; their path is the video's."""
    path = source if isinstance(source, Path) else None
    if every is None:
        what = path or f"Camera {source}"
        raise InputError(f"{what}: frames come one after another; use SAM.predict(source, stream=True) in Python.")
    stem = path.stem if path else f"camera{source}"
    for number, frame in video.frames(source, every):
        yield Picture(f"{stem}_{number:06d}.jpg", path, partial(to_rgb, frame), frame)


def _is_glob(source: str | Path) -> bool:
    """A pattern; a file whose name has brackets or stars in it is a file."""
    return glob.has_magic(str(source)) and not Path(source).exists()


def _is_stack(source: Any) -> bool:
    """An array or tensor of several pictures."""
    return (_is_tensor(source) or hasattr(source, "__array__")) and getattr(source, "ndim", 0) == 4


def _is_tensor(source: Any) -> bool:
    """A PyTorch tensor, without importing torch."""
    return hasattr(source, "detach") and hasattr(source, "cpu")


def _channels_last(tensor: Any) -> AnyArray:
    """A PyTorch tensor (C, H, W) as an array (H, W, C); its values must be pixels, not normalised."""
    values = tensor.detach().cpu()
    array = np.asarray(values.float() if values.is_floating_point() else values)
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        raise ImageError(f"A tensor picture is (C, H, W) or (N, C, H, W) in RGB order, got the shape {array.shape}.")
    if array.dtype.kind == "f" and array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ImageError(
            f"A tensor of floats must lie within 0..1, got {array.min():.3g}..{array.max():.3g}. "
            "Pass uint8, divide by 255, or leave the normalising to the model."
        )
    return array.transpose(1, 2, 0)


def _from_url(url: str, allow_urls: bool) -> Picture:
    if not allow_urls:
        raise InputError(f"{url} is not fetched: pass allow_urls=True if you want that, or a local file.")
    name = url.split("?", maxsplit=1)[0].rstrip("/").rsplit("/", 1)[-1] or "image"
    return Picture(name, None, partial(_fetch, url))


def _fetch(url: str) -> U8:
    from .catalog.download import read_url  # urllib: 35 ms of a cold start that fetches nothing

    return to_rgb(read_url(url, settings.max_bytes()))
