"""Masks of a photo in the formats of other programs.

All take a scene and return what is written; coordinates are the photo's pixels, x to the right and y down,
along the edges of the pixels.

| kind | for | a mask with holes or several regions |
|---|---|---|
| json | this package: Meta's records with COCO run lengths | exact |
| coco | COCO's instances, run lengths | exact |
| coco-polygons | COCO's instances, one polygon a region | holes joined to the outline by bridges |
| yolo | Ultralytics' segmentation labels, 0..1 | everything joined to one line by bridges |
| labelme | LabelMe | one polygon a region with one group_id, holes joined by bridges |
| geojson | GIS programs | exact |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from .everything import Candidate
from .masks import Polygon, coco_polygons, one_ring, polygons_of, rle_compress, rle_counts
from .types import F32, HW

LABEL = "object"
"""The one class of a model that knows none."""


class Masks(Protocol):
    """What a format needs of a scene."""

    @property
    def candidates(self) -> Sequence[Candidate]:
        """The masks."""

    @property
    def image_hw(self) -> HW:
        """The photo's size."""

    @property
    def name(self) -> str:
        """The photo's file name."""


def rle(candidate: Candidate, image_hw: HW) -> dict[str, Any]:
    """COCO's compressed run lengths of the mask."""
    return rle_compress(rle_counts(candidate.inside, candidate.window[:2], image_hw), image_hw)


def regions(candidate: Candidate) -> list[Polygon]:
    """The mask's exact polygons, in the photo's pixels."""
    corner = np.array(candidate.window[:2], np.float32)
    return [
        Polygon(region.exterior + corner, tuple(hole + corner for hole in region.holes))
        for region in polygons_of(candidate.inside)
    ]


def coco(scene: Masks) -> dict[str, Any]:
    """A COCO instances file of one photo, with run lengths."""
    return _coco(scene, lambda candidate: rle(candidate, scene.image_hw))


def coco_with_polygons(scene: Masks) -> dict[str, Any]:
    """A COCO instances file of one photo, with polygons."""
    return _coco(scene, lambda candidate: coco_polygons(regions(candidate)))


def _coco(scene: Masks, segmentation: Callable[[Candidate], Any]) -> dict[str, Any]:
    height, width = scene.image_hw
    annotations = []
    for number, candidate in enumerate(scene.candidates, start=1):
        x1, y1, x2, y2 = candidate.window
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "segmentation": segmentation(candidate),
                "area": candidate.area,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": 0,
                "predicted_iou": candidate.predicted_iou,
                "stability_score": candidate.stability_score,
            }
        )
    return {
        "images": [{"id": 1, "file_name": scene.name, "height": height, "width": width}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": LABEL, "supercategory": ""}],
    }


def yolo(scene: Masks) -> str:
    """One line a mask: class 0, then x and y as shares of width and height."""
    scale = np.array(scene.image_hw[::-1], np.float32)
    lines = []
    for candidate in scene.candidates:
        ring = one_ring(_rings(regions(candidate))) / scale
        lines.append(" ".join(["0", *(f"{value:.6f}" for value in ring.reshape(-1))]))
    return "".join(f"{line}\n" for line in lines)


def labelme(scene: Masks) -> dict[str, Any]:
    """A LabelMe file that refers to the photo by its name."""
    shapes = [
        {
            "label": LABEL,
            "points": one_ring([region.exterior, *region.holes]).tolist(),
            "group_id": number,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
        }
        for number, candidate in enumerate(scene.candidates, start=1)
        for region in regions(candidate)
    ]
    height, width = scene.image_hw
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": scene.name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def geojson(scene: Masks) -> dict[str, Any]:
    """A FeatureCollection of MultiPolygons in the photo's pixels."""
    features = [
        {
            "type": "Feature",
            "id": number,
            "properties": {
                "image": scene.name,
                "area": candidate.area,
                "predicted_iou": candidate.predicted_iou,
                "stability_score": candidate.stability_score,
                "parent": None if candidate.parent is None else candidate.parent + 1,
            },
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[_closed(ring) for ring in _rings([region])] for region in regions(candidate)],
            },
        }
        for number, candidate in enumerate(scene.candidates, start=1)
    ]
    return {"type": "FeatureCollection", "features": features}


def _rings(polygons: Sequence[Polygon]) -> list[F32]:
    return [ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes)]


def _closed(ring: F32) -> list[list[float]]:
    """GeoJSON's rings end where they begin."""
    points: list[list[float]] = ring.tolist()
    return [*points, points[0]]


DOCUMENTS: dict[str, Callable[[Masks], Any]] = {
    "coco": coco,
    "coco-polygons": coco_with_polygons,
    "labelme": labelme,
    "geojson": geojson,
    "yolo": yolo,
}
"""Kinds that are text: JSON, or lines where the writer returns a string."""
