"""`mobilesam predict`: masks from points and boxes."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from . import options

if TYPE_CHECKING:
    from pathlib import Path

    from ..results import Results
    from ..sources import Picture
    from ..types import Multimask

EXAMPLES = """
Examples:

    mobilesam predict photo.jpg --point 300,200 -o overlay.png

    mobilesam predict photo.jpg --point "300,200 60,40" --label "1 0" -o mask.png --kind mask

    mobilesam predict photo.jpg --box 150,80,480,380 -o cup.png --kind cutout

    mobilesam predict photo.jpg --point 300,200 --point 150,120 --multimask yes --json

    mobilesam predict "photos/*.jpg" --point 300,200 -o masks/ --kind mask

    mobilesam predict walk.mp4 --point 300,200 --propagate -o walk-masks.mp4
"""


class MultimaskChoice(str, Enum):
    """How many masks a prompt gives."""

    no = "no"
    yes = "yes"
    best = "best"


class Kind(str, Enum):
    """What is written."""

    overlay = "overlay"
    mask = "mask"
    cutout = "cutout"
    json = "json"


def run(
    sources: options.Sources,
    point: Annotated[
        list[str] | None,
        typer.Option("--point", "-p", help='A click: "x,y", or several for one object: "x,y x,y". Repeat for objects.'),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help='Labels of the --point at the same place: "1 0" (0 = not this).'),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option("--box", "-b", help='A box: "x1,y1,x2,y2". Repeat for objects.')
    ] = None,
    multimask: Annotated[
        MultimaskChoice,
        typer.Option(
            help="Three masks a prompt (yes), the single-mask output (no), or for a lone click the best of three."
        ),
    ] = MultimaskChoice.best,
    output: options.Output = None,
    kind: Annotated[Kind | None, typer.Option(help="What to write. Default: by the suffix, json or overlay.")] = None,
    as_json: options.AsJson = False,
    resume: options.Resume = False,
    propagate: Annotated[
        bool, typer.Option("--propagate", help="Carry the objects of a video's first frame along it: -o NAME.mp4.")
    ] = False,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    padding: options.Padding = "auto",
    threads: options.Threads = None,
) -> None:
    """Cut objects out of photos by clicks and boxes, in the photos' own pixels."""
    from ..sources import list_pictures
    from . import follow
    from .photos import each, load, targets

    given = _prompts(point or [], label or [], box or [])
    if propagate:
        video, film = follow.check(sources, output, alone=not (kind or as_json or resume))
        follow.follow(load(model, runtime, device, precision, padding, threads), video, film, given)
        return
    pictures = list_pictures(sources[0] if len(sources) == 1 else sources)
    places = targets(pictures, output, kind.value if kind else None)
    sam = load(model, runtime, device, precision, padding, threads)
    wanted: Multimask = {"no": False, "yes": True, "best": "best"}[multimask.value]  # type: ignore[assignment]  # as typed

    def work(picture: Picture, target: Path | None) -> None:
        result = sam.predict(picture, **given, multimask=wanted)[0]
        saved = result.save(target, kind=kind.value if kind else None) if target else None
        _report(result, saved, as_json)

    each(pictures, places, work, resume=resume)


def _prompts(points: list[str], labels: list[str], boxes: list[str]) -> dict[str, Any]:
    """The keyword arguments of `SAM.predict`; each --point is one object."""
    if labels and len(labels) != len(points):
        raise InputError(f"Give one --label for each --point, got {len(labels)} and {len(points)}.")
    given: dict[str, Any] = {}
    if points:
        given["points"] = [[options.numbers(xy, "--point", 2) for xy in text.split()] for text in points]
    if labels:
        given["labels"] = [[options.numbers(part, "--label", 1)[0] for part in text.split()] for text in labels]
    if boxes:
        given["bboxes"] = [options.numbers(text, "--box", 4) for text in boxes]
    return given


def _report(result: Results, saved: Path | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(json.loads(result.to_json())))
        return
    for number, record in enumerate(result.to_dicts()):
        box = ", ".join(f"{value:.0f}" for value in record["box"])
        typer.echo(f"{result.name}  mask {number}  IoU {record['iou']:.3f}  box {box}  {record['area']} pixels")
    if saved:
        typer.echo(f"wrote {saved}")
