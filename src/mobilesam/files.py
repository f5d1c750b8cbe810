"""Files that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


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
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"Can't write {target}: {error}. Choose a name in a writable folder.") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _reserve(target: Path) -> Path:
    """An empty file beside the target, with the permissions that a new file would get."""
    with tempfile.TemporaryDirectory(prefix=f".{target.stem}-", dir=target.parent) as folder:
        name = Path(folder).name
    part = target.parent / f"{name}{target.suffix}"
    part.touch(exist_ok=False)
    return part


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically. Raises OutputError."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically. Raises OutputError."""
    write_bytes(path, text.encode())
