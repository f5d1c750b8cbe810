"""`mobilesam batch`: many pictures by several processes or a cluster, which can be killed and go on."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from . import options

EXAMPLES = """
Examples:

    mobilesam batch photos/ --out masks/

    mobilesam batch "shards/*.tar" --out masks.parquet --resume

    mobilesam batch photos/ --task boxes --prompts detections.json --out masks.parquet

    mobilesam batch walk.mp4 --every 5 --out frames/ --kind overlay

    mobilesam batch photos/ --out /shared/masks.parquet --ray auto --processes 8
"""


class Task(str, Enum):
    """What is looked for."""

    everything = "everything"
    boxes = "boxes"


def run(
    sources: Annotated[
        list[str], typer.Argument(help="Folders, globs, tar shards, videos, photos.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; NAME.parquet for parquet files in it.")],
    task: Annotated[Task, typer.Option(help="All objects, or those in the boxes of --prompts.")] = Task.everything,
    prompts: Annotated[
        Path | None, typer.Option(help='Boxes: COCO JSON, or lines {"image": name, "boxes": [[x1, y1, x2, y2], ...]}.')
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="json, coco, yolo, overlay, ... as `everything` and `predict`; or parquet.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Of videos, take every so many-th frame.")] = 1,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes (Ray: actors), each with the model. Default: one a core.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of each process.")] = None,
    chunk: Annotated[int, typer.Option(min=1, help="Pictures that are noted as done together.")] = 16,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End at the first picture that can't be done.")] = False,
    ray: Annotated[str | None, typer.Option(help="Work on Ray: an address, auto, or local to start it here.")] = None,
    quality: Annotated[str, typer.Option(help="Of everything: fast or exact.")] = "fast",
    points_per_side: Annotated[int, typer.Option(help="Of everything: clicks along each side of the grid.")] = 32,
    min_mask_region_area: Annotated[int, typer.Option(help="Of everything: remove holes and specks below.")] = 0,
    max_masks: Annotated[int | None, typer.Option(help="Of everything: keep only this many, the best.")] = None,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    padding: options.Padding = "auto",
) -> None:
    """Find masks in many pictures; what is done stays done, whatever happens."""
    given = dict(locals())
    from ..scale import batch
    from ..scale.journal import ERRORS
    from .progress import work_bar

    names = ("quality", "points_per_side", "min_mask_region_area", "max_masks")
    with work_bar("pictures") as progress:
        summary = batch(
            sources,
            out,
            task=task.value,
            **{name: given[name] for name in ("prompts", "kind", "every", "processes", "threads", "chunk", "ray")},
            resume=resume,
            strict=strict,
            progress=progress,
            config={name: given[name] for name in names} if task is Task.everything else None,
            **{name: given[name] for name in ("model", "runtime", "device", "precision", "padding")},
        )
    if summary.resumed:
        typer.echo(f"resumed: {summary.resumed} of {summary.pictures} pictures were done", err=True)
    if summary.without:
        listed = ", ".join(summary.without[:5])
        typer.echo(f"mobilesam: no picture is named as {len(summary.without)} of the prompts: {listed}", err=True)
    typer.echo(f"{summary.pictures} pictures  {summary.masks} masks  wrote {out}")
    if summary.errors:
        typer.echo(f"mobilesam: {len(summary.errors)} pictures failed: see {out / ERRORS}", err=True)
        raise typer.Exit(1)
