"""`mobilesam everything`: the masks of all objects."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    from ..sources import Picture

EXAMPLES = """
Examples:

    mobilesam everything photo.jpg -o overlay.png

    mobilesam everything photo.jpg --points-per-side 16 --json

    mobilesam everything "photos/*.jpg" -o masks/ --kind json

    mobilesam everything photo.jpg -o labels.png --kind labels --min-mask-region-area 100
"""


class Kind(str, Enum):
    """What is written."""

    overlay = "overlay"
    labels = "labels"
    json = "json"


def run(
    sources: Annotated[list[str], typer.Argument(help="Photos, folders or globs.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; a folder where there are several photos.")
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="Overlay, 16-bit label map, or JSON. Default: by the suffix, json or overlay.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the masks as JSON, one line a photo.")] = False,
    points_per_side: Annotated[int, typer.Option(help="Clicks along each side of the grid.")] = 32,
    pred_iou_thresh: Annotated[float, typer.Option(help="Drop masks whose predicted IoU is not above this.")] = 0.88,
    stability_score_thresh: Annotated[float, typer.Option(help="Drop masks less stable than this.")] = 0.95,
    crop_n_layers: Annotated[int, typer.Option(help="Layers of crops, for small objects.")] = 0,
    min_mask_region_area: Annotated[int, typer.Option(help="Remove holes and specks of fewer pixels.")] = 0,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
) -> None:
    """Find the masks of all objects of photos: Meta's automatic mask generator, without torch."""
    from ..sources import list_pictures
    from .photos import each, load, targets

    pictures = list_pictures(sources[0] if len(sources) == 1 else sources)
    places = targets(pictures, output, kind.value if kind else None)
    sam = load(model, runtime, device, precision, threads)

    def work(picture: Picture, target: Path | None) -> None:
        scene = sam.everything(
            picture,
            points_per_side=points_per_side,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
            crop_n_layers=crop_n_layers,
            min_mask_region_area=min_mask_region_area,
        )
        saved = scene.save(target, kind=kind.value if kind else None) if target else None
        if as_json:
            typer.echo(scene.to_json())
            return
        typer.echo(f"{scene.name}  {len(scene)} masks")
        if saved:
            typer.echo(f"wrote {saved}")

    each(pictures, places, work)
