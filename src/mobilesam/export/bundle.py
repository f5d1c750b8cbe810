"""A model as a folder of one format: encoder, decoder, manifest. Written, run, compared, and only then in its place."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..backends.exported import READERS, load_folder
from ..backends.manifest import KIND, NAME, Manifest, digest
from ..catalog.models import DEFAULT
from ..errors import ExportError, InputError, MissingDependencyError, MobileSAMError
from ..files import PICTURES, atomic_folder
from ..geometry import Letterbox
from ..image import MEAN, STD, to_rgb, to_tensor
from ..nn.sam import Sam
from ..types import F32
from . import formats, parity
from .contract import CONTRACT, sizes
from .networks import POINTS, Networks
from .source import load_source

MOST_PHOTOS = 32
"""More to measure ranges on change nothing, and cost a second each."""


def export_format(
    model: str | Path = DEFAULT,
    folder: str | Path = "export",
    *,
    format: str = "onnx",  # noqa: A002  # what everyone calls it
    precision: str = "fp32",
    points: int = POINTS,
    photos: str | Path | None = None,
) -> list[Path]:
    """Write a model into `folder` in a format of `FORMATS`; returns the files' paths, the manifest last.

    `precision` is one of the format's; `points` the tokens of a decoder of fixed shape (a box is two; clicks without a
    box are one more than they are); `photos` a folder to measure ranges on, where a precision needs that. An earlier
    export in `folder` is replaced.

    Raises InputError (format, precision, points, photos), MissingDependencyError with the pip line, ExportError where
    the files give other masks than the model or the converter fails, OutputError where they can't be written.
    """
    chosen = check_options(format, precision, points, photos)
    sam, source = load_source(model)
    return write_format(sam, Path(folder), chosen, precision, source, points=points, photos=photos)


def check_options(name: str, precision: str, points: int, photos: str | Path | None) -> formats.Format:
    """The format, where the options go with it. Raises InputError."""
    chosen = formats.find(name, precision)
    if not 1 <= points <= 64:
        raise InputError(f"points must be from 1 to 64, got {points}.")
    if precision in chosen.needs_photos and photos is None:
        raise InputError(f"{precision} for {name} measures ranges on photos: give a folder of some 30 with --photos.")
    return chosen


def write_format(
    sam: Sam,
    folder: Path,
    chosen: formats.Format,
    precision: str,
    source: dict[str, str],
    *,
    points: int = POINTS,
    photos: str | Path | None = None,
) -> list[Path]:
    """As `export_format`, for a model in memory."""
    size = sam.prompt_encoder.img_size
    paths = pictures(Path(photos)) if photos is not None else []
    tensors = [_tensor(path, size) for path in paths[:MOST_PHOTOS]] if precision in chosen.needs_photos else []
    networks = Networks.of(sam, points, tensors)
    with atomic_folder(folder, replaces=_is_export) as part:
        try:
            chosen.convert(networks, part, precision=precision)
        except MobileSAMError:
            raise
        except Exception as error:  # a converter may fail in any way; ours is to say which
            raise ExportError(f"The converter to {chosen.name} failed: {type(error).__name__}: {error}") from error
        manifest = _manifest(part, chosen, precision, source, networks)
        _write(part, manifest)
        manifest["parity"] = _verified(part, chosen, precision, sam)
        _write(part, manifest)
        names = [*manifest["files"], NAME]
    return [folder / name for name in names]


def _verified(folder: Path, chosen: formats.Format, precision: str, sam: Sam) -> dict[str, Any]:
    """What running the files gave; or why they can't be run here."""
    if chosen.name not in READERS:
        return {"verified": False, "why": f"not verified here: {chosen.name} doesn't run on this platform"}
    try:
        backend = load_folder(folder)
    except MissingDependencyError as error:
        return {"verified": False, "why": f"not verified here: {error}"}
    measured = parity.measure(backend, parity.cases(sam))
    measured.check(precision)
    return {"verified": True, **measured.as_dict()}


def _manifest(
    folder: Path, chosen: formats.Format, precision: str, source: dict[str, str], networks: Networks
) -> dict[str, Any]:
    prompts, points = (1, networks.points) if chosen.is_fixed else (None, None)
    axes = sizes(networks.img_size, prompts, points)
    return {
        "kind": KIND,
        "format": chosen.name,
        "precision": precision,
        "made_by": f"mobilesam {__version__}",
        "model": source,
        "img_size": networks.img_size,
        "normalise": {"mean": list(MEAN), "std": list(STD)},
        "decoder": {"prompts": prompts, "points": points},
        "contract": {
            name: {
                side: [
                    {"name": t.name, "type": "float32", "shape": t.shape(axes), "meaning": t.meaning}
                    for t in getattr(part, side)
                ]
                for side in ("inputs", "outputs")
            }
            for name, part in CONTRACT.items()
        },
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
        "versions": _versions(chosen),
    }


def _versions(chosen: formats.Format) -> dict[str, str]:
    """Of the packages that made the files."""
    found = {}
    owners = metadata.packages_distributions()
    for package in dict.fromkeys(("torch", *chosen.needs)):
        for distribution in owners.get(package, [])[:1]:
            found[distribution] = metadata.version(distribution)
    return found


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _is_export(folder: Path) -> bool:
    """An earlier export of ours may be replaced, and nothing else."""
    try:
        Manifest.read(folder)
    except MobileSAMError:
        return False
    return True


def pictures(folder: Path) -> list[Path]:
    """The photos of a folder. Raises InputError where there are none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES) if folder.is_dir() else []
    if not paths:
        raise InputError(f"No photos in {folder}; give a folder of some {MOST_PHOTOS}.")
    return paths


def _tensor(path: Path, size: int) -> F32:
    """A photo as the encoder takes it."""
    photo = to_rgb(path)
    return np.asarray(to_tensor(photo, Letterbox((photo.shape[0], photo.shape[1]), size)))
