"""From a name or a path to a weights file on disk: the path itself, bundled, cached, or downloaded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from .. import settings
from ..errors import DownloadError, WeightsNotFoundError
from .models import DEFAULT, FILES, MODELS, ModelSpec

if TYPE_CHECKING:
    from .download import Progress


def locate(model: str | Path, *, progress: Progress | None = None) -> Path:
    """The weights file of `model`: a path that exists, else a name of the catalog.

    A name is looked for among the bundled files, then in the cache, then downloaded with its sha256
    checked. There is no silent substitute.

    Raises WeightsNotFoundError for a name that nobody knows, DownloadError where the file can't be had.

    >>> locate("mobilesam").name
    'mobilesam.safetensors'
    """
    path = Path(model).expanduser()
    if path.is_file():
        return path
    spec = MODELS.get(str(model))
    if spec is None:
        known = ", ".join(MODELS)
        raise WeightsNotFoundError(f"No weights file {str(model)!r}, and no model of that name. Known: {known}.")
    if spec.is_bundled:
        return _bundled(spec)
    cached = cached_path(spec)
    if not is_cached(spec):
        _fetch(spec, cached, progress)
    return cached


def cached_path(spec: ModelSpec) -> Path:
    """Where the download of `spec` lies, or would."""
    return settings.cache_dir() / "weights" / spec.file


def is_cached(spec: ModelSpec) -> bool:
    """True where `spec` was downloaded; its hash was checked then, its size is now."""
    path = cached_path(spec)
    return path.is_file() and path.stat().st_size == spec.bytes


def digest_of(path: Path) -> str:
    """sha256 of a weights file; the bundled ones' stand in the catalog."""
    for spec in MODELS.values():
        if spec.is_bundled and path == FILES / spec.file:
            return spec.sha256
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha(path)


def _sha(path: Path) -> str:
    """Python 3.10 has no hashlib.file_digest."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _bundled(spec: ModelSpec) -> Path:
    path = FILES / spec.file
    if not path.is_file():
        raise WeightsNotFoundError(
            f"The bundled file {spec.file} is missing: the installation is damaged. Reinstall it."
        )
    return path


def _fetch(spec: ModelSpec, target: Path, progress: Progress | None) -> None:
    if spec.url is None:
        raise WeightsNotFoundError(f"{spec.name} has no address to download it from.")
    from .download import download  # urllib: 35 ms of a cold start that needs no download

    try:
        download(spec.url, target, size=spec.bytes, sha256=spec.sha256, progress=progress)
    except DownloadError as error:
        raise DownloadError(
            f"{spec.name} isn't here and can't be downloaded: {error} Put the file at {target} or pass its path; "
            f"or use SAM({DEFAULT!r}), the default, which is bundled and needs no network."
        ) from error
