"""`mobilesam everything`: the masks of all objects."""

from __future__ import annotations

import json
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from ..files import PICTURES
from . import options

if TYPE_CHECKING:
    from ..sources import Picture

EXAMPLES = """
Examples:

    mobilesam everything photo.jpg -o overlay.png

    mobilesam everything photo.jpg --quality exact --points-per-side 16 --json

    mobilesam everything "photos/*.jpg" -o labels/ --kind coco --resume

    mobilesam everything photo.jpg -o labels.png --kind labels --overlap disjoint --min-mask-region-area 100

    mobilesam everything map.tif -o parcels.geojson --tiles 1024
"""


class Kind(str, Enum):
    """What is written."""

    overlay = "overlay"
    labels = "labels"
    masks = "masks"
    json = "json"
    coco = "coco"
    coco_polygons = "coco-polygons"
    yolo = "yolo"
    labelme = "labelme"
    geojson = "geojson"


class Quality(str, Enum):
    """How thorough."""

    fast = "fast"
    exact = "exact"


class Overlap(str, Enum):
    """What becomes of masks that share pixels."""

    all = "all"
    disjoint = "disjoint"
    hierarchy = "hierarchy"


def run(
    sources: options.Sources,
    output: options.Output = None,
    kind: Annotated[
        Kind | None,
        typer.Option(help="What to write. Default: by the suffix (.json, .txt YOLO, .geojson), or overlay."),
    ] = None,
    as_json: options.AsJson = False,
    resume: options.Resume = False,
    quality: Annotated[Quality, typer.Option(help="exact decodes every click, as Meta does.")] = Quality.fast,
    overlap: Annotated[
        Overlap, typer.Option(help="all as Meta; disjoint: no pixel twice; hierarchy: parents and children.")
    ] = Overlap.all,
    max_masks: Annotated[int | None, typer.Option(help="Keep only this many, the best.")] = None,
    tiles: Annotated[
        int | None, typer.Option(help="For large pictures: work in windows of this many pixels, and join the seams.")
    ] = None,
    tile_overlap: Annotated[float, typer.Option(help="How much tiles overlap, as a share of their side.")] = 0.25,
    points_per_side: Annotated[int, typer.Option(help="Clicks along each side of the grid.")] = 32,
    points_per_batch: Annotated[int, typer.Option(help="For Meta's users; batches are as large as runs best.")] = 64,
    point_grids: Annotated[
        Path | None, typer.Option(help="A JSON file: one list of [x, y] in 0..1 a crop layer, for points_per_side.")
    ] = None,
    pred_iou_thresh: Annotated[float, typer.Option(help="Drop masks whose predicted IoU is not above this.")] = 0.88,
    stability_score_thresh: Annotated[float, typer.Option(help="Drop masks less stable than this.")] = 0.95,
    stability_score_offset: Annotated[float, typer.Option(help="How far stability moves the threshold.")] = 1.0,
    box_nms_thresh: Annotated[float, typer.Option(help="Of boxes that overlap more, the better stays.")] = 0.7,
    crop_n_layers: Annotated[int, typer.Option(help="Layers of crops, for small objects.")] = 0,
    crop_nms_thresh: Annotated[float, typer.Option(help="As --box-nms-thresh, between crops.")] = 0.7,
    crop_overlap_ratio: Annotated[float, typer.Option(help="How much crops overlap.")] = 512 / 1500,
    crop_n_points_downscale_factor: Annotated[int, typer.Option(help="Fewer points a side in each layer.")] = 1,
    min_mask_region_area: Annotated[int, typer.Option(help="Remove holes and specks of fewer pixels.")] = 0,
    model: options.Model = "mobilesam",
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    padding: options.Padding = "auto",
    threads: options.Threads = None,
) -> None:
    """Find the masks of all objects of photos: Meta's automatic mask generator, without torch."""
    given = dict(locals())
    from ..everything import EverythingConfig
    from ..sources import list_pictures
    from .photos import each, load, targets
    from .progress import work_bar

    config = {field.name: given[field.name] for field in fields(EverythingConfig) if field.name in given}
    config |= {"quality": quality.value, "overlap": overlap.value, "point_grids": None}
    if point_grids:
        config |= {"point_grids": _grids(point_grids), "points_per_side": None}
    pictures = list_pictures(sources[0] if len(sources) == 1 else sources)
    wanted = kind.value if kind else None
    places = targets(pictures, output, wanted)
    sam = load(model, runtime, device, precision, padding, threads)

    def work(picture: Picture, target: Path | None) -> None:
        with work_bar(picture.name) as progress:
            scene = sam.everything(picture, progress=progress if len(pictures) == 1 else None, **config)
        if tiles and target and (wanted or "overlay") == "overlay" and target.suffix in PICTURES:
            scene = scene.with_photo(picture.load())
        saved = scene.save(target, kind=wanted) if target else None
        if as_json:
            typer.echo(scene.to_json())
            return
        typer.echo(f"{scene.name}  {len(scene)} masks")
        if saved:
            typer.echo(f"wrote {saved}")

    each(pictures, places, work, resume=resume)


def _grids(path: Path) -> list[Any]:
    try:
        grids = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"--point-grids {path} can't be read: {error}. Give a JSON file of lists of [x, y]."
        ) from error
    if not isinstance(grids, list):
        raise InputError(f"--point-grids {path} holds {type(grids).__name__}; give a list of lists of [x, y].")
    return grids
