"""The only network code: a checked, atomic download, and the bytes of a picture that a user asked for."""

from __future__ import annotations

import hashlib
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from .. import settings
from ..errors import DownloadError, ImageTooLargeError

CHUNK = 1 << 20
TIMEOUT_S = 30

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


def download(url: str, target: Path, *, size: int, sha256: str, progress: Progress | None = None) -> None:
    """Fetch `url` into `target`: into a temporary file beside it, checked, then renamed.

    Raises DownloadError where downloads are forbidden, the network fails, or the bytes differ.
    """
    with _open(url) as reply:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle = tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False)  # noqa: SIM115  # outlives the block, to be renamed
        except OSError as error:
            raise DownloadError(f"Can't write into {target.parent}: {error}. Set MOBILESAM_CACHE.") from error
        part = Path(handle.name)
        try:
            with handle:
                digest = _copy(reply, handle, size, progress)
            if digest != sha256:
                raise DownloadError(
                    f"{url} brought other bytes than expected (sha256 {digest}, expected {sha256}). "
                    "Nothing was kept; the file may have changed or been tampered with."
                )
            part.replace(target)
        except OSError as error:
            if isinstance(error, DownloadError):
                raise
            raise DownloadError(f"The download of {url} broke off: {error}. Try again.") from error
        finally:
            part.unlink(missing_ok=True)


def _copy(reply: BinaryIO, target: IO[bytes], size: int, progress: Progress | None) -> str:
    """Copy at most `size` bytes; returns their sha256."""
    digest, done = hashlib.sha256(), 0
    while chunk := reply.read(CHUNK):
        done += len(chunk)
        if done > size:
            raise DownloadError(f"The server sent more than the expected {size} bytes. Nothing was kept.")
        digest.update(chunk)
        target.write(chunk)
        if progress:
            progress(done, size)
    return digest.hexdigest()


def read_url(url: str, max_bytes: int) -> bytes:
    """The bytes behind an http(s) address, at most `max_bytes`.

    Raises DownloadError where it can't be had, ImageTooLargeError where it is larger.
    """
    with _open(url) as reply:
        try:
            data: bytes = reply.read(max_bytes + 1)
        except OSError as error:
            raise DownloadError(f"The download of {url} broke off: {error}. Try again.") from error
    if len(data) > max_bytes:
        raise ImageTooLargeError(f"{url} has more than {max_bytes} bytes. Raise MOBILESAM_MAX_BYTES to allow it.")
    return data


@contextmanager
def _open(url: str) -> Iterator[BinaryIO]:
    if settings.is_offline():
        raise DownloadError(f"{url} isn't fetched because MOBILESAM_OFFLINE is set. Unset it to allow downloads.")
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"Only http and https addresses are fetched, got {url!r}.")
    request = urllib.request.Request(url, headers={"User-Agent": "mobilesam"})  # noqa: S310  # scheme checked above
    try:
        reply = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310  # scheme checked above
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DownloadError(f"Can't download {url}: {error}. Check the address and the network.") from error
    with reply:
        yield reply
