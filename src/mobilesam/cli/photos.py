"""What the commands that work on photos share: where results go, the model, the loop over photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from ..errors import InputError, MobileSAMError
from ..files import apart
from .options import one_line
from .progress import download_bar, track

if TYPE_CHECKING:
    from ..model import SAM
    from ..sources import Picture
    from ..types import PaddingMode, Precision

SUFFIXES = {"json": ".json", "coco": ".json", "coco-polygons": ".json", "labelme": ".json"}
SUFFIXES |= {"geojson": ".geojson", "yolo": ".txt", "masks": ""}
"""Of the kinds that aren't pictures, for the names in a folder."""


def load(model: str, runtime: str, device: str, precision: str, padding: str, threads: int | None) -> SAM:
    """The model, with a bar where it has to be downloaded."""
    from ..model import SAM

    with download_bar() as progress:
        return SAM(
            model,
            runtime=runtime,
            device=device,
            precision=cast("Precision", precision),
            padding=cast("PaddingMode", padding),
            threads=threads,
            progress=progress,
        )


def targets(pictures: list[Picture], output: Path | None, kind: str | None) -> list[Path | None]:
    """Where each photo's result goes: the file itself, or a file in the folder, no name twice."""
    if output is None:
        if kind is not None:
            raise InputError("--kind says what to write; say where with -o too.")
        return [None] * len(pictures)
    if len(pictures) == 1 and (kind == "masks" or not output.is_dir()):
        if pictures[0].path and output.exists() and output.samefile(pictures[0].path):
            raise InputError(f"-o {output} is the photo itself; choose another name.")
        return [output]
    suffix = SUFFIXES.get(kind or "overlay", ".png")
    places: list[Path | None] = []
    stems = apart(Path(picture.name).stem for picture in pictures)
    for picture, stem in zip(pictures, stems, strict=True):
        target = output / f"{stem}{suffix}"
        if picture.path and target.exists() and target.samefile(picture.path):
            raise InputError(f"-o {output} is the folder of the photos, and {target.name} would be overwritten.")
        places.append(target)
    return places


def each(
    pictures: list[Picture],
    places: list[Path | None],
    work: Callable[[Picture, Path | None], None],
    *,
    resume: bool = False,
) -> None:
    """Do the work photo by photo; of several, a bad one is reported and the others go on.

    With `resume` those whose file exists are skipped: files appear only when they are whole.
    """
    jobs = list(zip(pictures, places, strict=True))
    if resume:
        if None in places:
            raise InputError("--resume skips what is written; say where with -o.")
        jobs = [(picture, target) for picture, target in jobs if target and not target.exists()]
        typer.echo(f"resuming: {len(pictures) - len(jobs)} of {len(pictures)} photos are done", err=True)
    failed = []
    for picture, target in track(jobs, "photos"):
        try:
            work(picture, target)
        except MobileSAMError as error:
            if len(pictures) == 1:
                raise
            failed.append(picture.name)
            typer.echo(f"mobilesam: {picture.name}: {one_line(error)}", err=True)
    if failed:
        typer.echo(f"mobilesam: {len(failed)} of {len(pictures)} photos failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)
