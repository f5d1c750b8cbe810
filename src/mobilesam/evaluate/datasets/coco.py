"""COCO's instance JSON (Lin et al. 2014) and its photos.

DATA is the JSON, or a folder with instances.json or annotations/instances_*.json. Photos are looked for in --images,
in images/ beside the JSON, beside it, and in COCO's own folders (../val2017).
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from ...errors import InputError, SourceNotFoundError
from ...image import to_rgb
from ...sources import Picture
from ...types import HW, Bool
from .base import Dataset, Instance, Photo, Values, instance, name_of


def matches(root: Path) -> bool:
    """True for such a JSON file or a folder with one."""
    return file_of(root) is not None


def file_of(root: Path) -> Path | None:
    """The annotation file that `root` is or holds."""
    if root.is_file():
        return root if root.suffix == ".json" else None
    found = [root / "instances.json", *sorted(root.glob("annotations/instances_*.json"))]
    return next((path for path in found if path.is_file()), None)


def load(root: Path, values: Values, *, layout: str = "coco") -> Dataset:
    """Every photo of the file; none where the file has no annotation at all.

    Raises InputError where the file isn't such a JSON, SourceNotFoundError where none of its photos is there.
    """
    path = file_of(root)
    if path is None:
        raise SourceNotFoundError(f"{root} is no annotation file and has no instances.json.")
    data = read_json(path)
    drawn: dict[int, list[dict[str, Any]]] = {}
    try:
        for annotation in data["annotations"]:
            drawn.setdefault(annotation["image_id"], []).append(annotation)
        images = data["images"] if drawn else []
        places = {image["id"]: _place(image, _folders(path, values)) for image in images}
        photos = [_photo(image, places[image["id"]], drawn.get(image["id"], [])) for image in images]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} isn't COCO's instance JSON: {error!r} is missing or of another kind.") from error
    if photos and not any(place.is_file() for place in places.values()):
        raise SourceNotFoundError(
            f"{path} lists {len(photos)} photos and none is there, such as {places[images[0]['id']]}; pass --images."
        )
    name = name_of(path.parent) if path.name == "instances.json" else path.stem
    return Dataset(name, layout, photos, data)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as JSON: {error}.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds {type(data).__name__}, not an object with images and annotations.")
    return data


def _folders(path: Path, values: Values) -> list[Path]:
    if values.images is not None:
        return [values.images]
    split = path.stem.rsplit("_", 1)[-1]  # instances_val2017.json
    return [path.parent / "images", path.parent, path.parent.parent / split, path.parent.parent]


def _place(image: dict[str, Any], folders: list[Path]) -> Path:
    """The file of a photo; LVIS names none, but its address ends with folder and name."""
    names: list[str] = [image["file_name"]] if "file_name" in image else []
    if "coco_url" in image:
        parts = image["coco_url"].split("/")
        names += [parts[-1], "/".join(parts[-2:])]
    candidates = [folder / name for folder in folders for name in names]
    if not candidates:
        raise KeyError("file_name")
    return next((place for place in candidates if place.is_file()), candidates[0])


def _photo(image: dict[str, Any], place: Path, annotations: list[dict[str, Any]]) -> Photo:
    picture = Picture(place.name, place, partial(to_rgb, place), place)
    hw = (int(image["height"]), int(image["width"]))
    key = str(image["id"])
    return Photo(key, picture, partial(instances, annotations, hw, key), key, image["id"])


def instances(annotations: list[dict[str, Any]], hw: HW, key: str) -> list[Instance]:
    """The objects of a photo. Raises InputError for a segmentation that is none."""
    found = []
    for number, annotation in enumerate(annotations):
        box = annotation.get("bbox")
        try:
            mask = decode(annotation["segmentation"], hw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{key}: annotation {annotation.get('id', number)} has no usable segmentation.") from error
        found.append(
            instance(
                str(annotation.get("id", number)),
                mask,
                box=None if box is None else np.array([*box[:2], box[0] + box[2], box[1] + box[3]], np.float32),
                area=annotation.get("area"),
                category=annotation.get("category_id"),
                crowd=bool(annotation.get("iscrowd", 0)),
            )
        )
    return found


def decode(segmentation: Any, hw: HW) -> Bool:
    """Polygons or run lengths as a mask (H, W), by pycocotools' own rasteriser."""
    if isinstance(segmentation, list):
        if not segmentation:
            return np.zeros(hw, bool)
        encoded = rle.merge(rle.frPyObjects(segmentation, *hw))
    elif isinstance(segmentation["counts"], list):
        encoded = rle.frPyObjects(segmentation, *hw)
    else:
        counts = segmentation["counts"]
        encoded = {"size": segmentation["size"], "counts": counts.encode() if isinstance(counts, str) else counts}
    return np.asarray(rle.decode(encoded), bool)
