"""Files that appear whole or not at all, and what kind of file a name asks for."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .errors import InputError, OutputError
from .types import AnyArray

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
PNG_LEVEL = 2
"""A quarter of the time of Pillow's default (0.18 for 0.74 s at 1800x1200), and a tenth more bytes."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that becomes `path` when the block ends well.

    Missing parent folders are made. Where the block fails, or the name can't be written, nothing is left
    and an earlier file stays as it was. Raises OutputError for every OSError on the way.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "new/note.txt"
    >>> with atomic_path(target) as part:
    ...     _ = part.write_text("hello")
    >>> target.read_text()
    'hello'
    """
    target = Path(path)
    part: Path | None = None
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _reserve(target)
        yield part
        part.replace(target)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, (OutputError, InputError)):
            raise
        raise OutputError(f"Can't write {target}: {error}. Choose a name in a writable folder.") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _reserve(target: Path) -> Path:
    """An empty file beside the target, with the permissions that a new file would get."""
    with tempfile.TemporaryDirectory(prefix=".mobilesam-", dir=target.parent) as folder:
        name = Path(folder).name
    part = target.parent / f"{name}{target.suffix[-16:]}"
    part.touch(exist_ok=False)
    return part


def is_masks(folder: Path) -> bool:
    """True for a folder that holds nothing but .png files."""
    return not any(path.is_dir() or path.suffix != ".png" for path in folder.iterdir())


@contextmanager
def atomic_folder(path: str | Path, replaces: Callable[[Path], bool] = is_masks) -> Iterator[Path]:
    """As `atomic_path`, for a folder; one that is there already is replaced when the block ends well.

    Raises OutputError where `path` is a file, or a folder that is neither empty nor one that `replaces` says yes to.
    """
    target = Path(path)
    try:
        if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not replaces(target))):
            raise FileExistsError(f"{target} exists and holds something else")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mobilesam-", dir=target.parent) as temporary:
            part = Path(temporary) / "new"
            part.mkdir()
            yield part
            if target.exists():
                target.replace(Path(temporary) / "old")
            part.replace(target)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"Can't write {target}: {error}. Choose a name in a writable folder.") from error


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically. Raises OutputError."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically. Raises OutputError."""
    write_bytes(path, text.encode())


def write_picture(path: str | Path, picture: AnyArray) -> None:
    """Write an array as a picture, its format by the suffix, atomically. Raises OutputError."""
    with atomic_path(path) as part:
        Image.fromarray(picture).save(part, compress_level=PNG_LEVEL)


def png_bytes(picture: AnyArray, level: int = PNG_LEVEL) -> bytes:
    """An array as the bytes of a PNG; `level` is the effort of compressing, 0 to 9."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def apart(stems: Iterable[str]) -> Iterator[str]:
    """Names of files without suffixes; one that is there already gets a number. File systems may not tell A from a.

    >>> list(apart(["cup", "Cup", "cup-2"]))
    ['cup', 'Cup-2', 'cup-2-2']
    """
    used: set[str] = set()
    met: Counter[str] = Counter()
    for stem in stems:
        name = stem
        while name.casefold() in used:
            met[stem.casefold()] += 1
            name = f"{stem}-{met[stem.casefold()] + 1}"
        used.add(name.casefold())
        yield name


def kind_of(path: Path, kind: str | None, suffixes: Mapping[str, tuple[str, ...]]) -> str:
    """The kind of file to write: `kind`, or without it the first whose suffixes have that of `path`.

    `suffixes` lists the kinds there are and the suffixes of each; "" stands for a folder.
    Raises InputError where kind or suffix don't fit.

    >>> kind_of(Path("cup.png"), None, {"overlay": PICTURES, "json": (".json",)})
    'overlay'
    """
    suffix = path.suffix.lower()
    kind = kind or next((name for name, known in suffixes.items() if suffix in known), next(iter(suffixes)))
    if kind not in suffixes:
        raise InputError(f"Unknown kind {kind!r}; choose one of: {', '.join(suffixes)}.")
    if suffix not in suffixes[kind]:
        wanted = ", ".join(known or "a folder's name, without a suffix" for known in suffixes[kind])
        raise InputError(f"Kind {kind!r} can't be saved as {path.name!r}; choose one of: {wanted}.")
    return kind
