"""`mobilesam val`: how good the masks are, on photos with true masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeGuard

import typer

from ..errors import InputError
from . import options

EXAMPLES = """
Examples:

    mobilesam val GrabCut/ --protocol box,center,clicks -o report/

    mobilesam val coco/annotations/instances_val2017.json --limit 200 -o report/

    mobilesam val coco/annotations/instances_val2017.json --protocol ap --boxes vitdet.json -o report/

    mobilesam val photos_and_masks/ --ignore 128 --compare precision=bf16 -o report/

    mobilesam val photos_and_masks/ --protocol agreement --reference mobile_sam.pt
"""


def _list(wanted: bool) -> None:
    if not wanted:
        return
    from ..evaluate import LAYOUTS, PROTOCOLS
    from ..evaluate.protocols import Options

    typer.echo("protocols:")
    for name, build in PROTOCOLS.items():
        typer.echo(f"  {name:20} {build(Options()).title}")
    typer.echo(f"layouts: {', '.join(LAYOUTS)}")
    raise typer.Exit


def run(
    data: Annotated[
        list[Path],
        typer.Argument(help="COCO, LVIS or SA-1B JSON, or a folder of photos and masks.", show_default=False),
    ],
    protocol: Annotated[
        str, typer.Option("--protocol", "-p", help="One or several, with commas; --list names them.")
    ] = "box",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for tables, pictures, the page.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run in --output.")] = False,
    compare: Annotated[
        str | None,
        typer.Option(help="Another model on the same prompts: mobile_sam.pt, or precision=bf16,runtime=onnx,model=..."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="For agreement: another model as in --compare, or an earlier run's --output.")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="For ap: a detector's boxes as COCO results.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="Of the data, where it isn't recognised; --list names them.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the photos of a JSON file.")] = None,
    background: Annotated[int, typer.Option(help="The value of a mask that is no object.")] = 0,
    ignore: Annotated[
        int | None,
        typer.Option(help="The value that counts neither way. Default: the layout's; -1: none.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many photos of each set, evenly spread.")] = None,
    max_objects: Annotated[int | None, typer.Option(help="Only so many objects a photo, at random.")] = None,
    seed: Annotated[int, typer.Option(help="For random points and boxes.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    list_names: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="Name what there is.")
    ] = False,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    padding: options.Padding = "auto",
    threads: options.Threads = None,
) -> None:
    """Measure the masks on photos with true masks, by the field's own protocols."""
    del list_names
    from ..evaluate.report.table import show
    from .photos import load
    from .progress import work_bar

    settings = {"model": model, "runtime": runtime, "device": device, "precision": precision, "padding": padding}
    if resume and output is None:
        raise InputError("--resume goes on with what is written; say where with -o.")
    sam = load(**settings, threads=threads)
    with work_bar("photos") as progress:
        report = sam.val(
            data,
            protocol,
            compare=load(**settings | _changes(compare), threads=threads) if compare else None,
            reference=load(**settings | _changes(reference), threads=threads) if _is_model(reference) else reference,
            boxes=boxes,
            layout=layout,
            images=images,
            background=background,
            ignore=ignore,
            output=output,
            resume=resume,
            limit=limit,
            max_objects=max_objects,
            seed=seed,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
        return
    show(report)
    if output:
        typer.echo(f"wrote {output / 'report.html'}")


def _is_model(reference: str | None) -> TypeGuard[str]:
    """False for an earlier run's folder."""
    return reference is not None and not Path(reference).is_dir()


def _changes(text: str) -> dict[str, str]:
    """ "precision=bf16,runtime=onnx", or a model alone."""
    if "=" not in text:
        return {"model": text}
    pairs = [part.partition("=") for part in text.split(",")]
    known = ("model", "runtime", "device", "precision", "padding")
    for name, _, value in pairs:
        if name not in known or not value:
            raise InputError(f"{text!r} must be a model, or NAME=VALUE with commas, NAME one of {', '.join(known)}.")
    return {name: value for name, _, value in pairs}
