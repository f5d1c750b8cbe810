"""What the commands that work on photos share: where results go, the model, the loop over photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from ..errors import InputError, MobileSAMError
from .progress import download_bar, track

if TYPE_CHECKING:
    from ..model import SAM
    from ..sources import Picture
    from ..types import Precision


def load(model: str, runtime: str, device: str, precision: str, threads: int | None) -> SAM:
    """The model, with a bar where it has to be downloaded."""
    from ..model import SAM

    with download_bar() as progress:
        return SAM(
            model,
            runtime=runtime,
            device=device,
            precision=cast("Precision", precision),
            threads=threads,
            progress=progress,
        )


def targets(pictures: list[Picture], output: Path | None, kind: str | None) -> list[Path | None]:
    """Where each photo's result goes: the file itself, or a file in the folder, no name twice."""
    if output is None:
        if kind is not None:
            raise InputError("--kind says what to write; say where with -o too.")
        return [None] * len(pictures)
    if len(pictures) == 1 and not output.is_dir():
        if pictures[0].path and output.exists() and output.samefile(pictures[0].path):
            raise InputError(f"-o {output} is the photo itself; choose another name.")
        return [output]
    suffix = ".json" if kind == "json" else ".png"
    used: dict[str, int] = {}
    places: list[Path | None] = []
    for picture in pictures:
        stem = Path(picture.name).stem
        used[stem] = used.get(stem, 0) + 1
        number = f"-{used[stem]}" if used[stem] > 1 else ""
        target = output / f"{stem}{number}{suffix}"
        if picture.path and target.exists() and target.samefile(picture.path):
            raise InputError(f"-o {output} is the folder of the photos, and {target.name} would be overwritten.")
        places.append(target)
    return places


def each(pictures: list[Picture], places: list[Path | None], work: Callable[[Picture, Path | None], None]) -> None:
    """Do the work photo by photo; of several, a bad one is reported and the others go on."""
    failed = 0
    for picture, target in track(list(zip(pictures, places, strict=True)), "photos"):
        try:
            work(picture, target)
        except MobileSAMError as error:
            if len(pictures) == 1:
                raise
            failed += 1
            typer.echo(f"mobilesam: {picture.name}: {' '.join(str(error).split())}", err=True)
    if failed:
        typer.echo(f"mobilesam: {failed} of {len(pictures)} photos failed", err=True)
        raise typer.Exit(1)
