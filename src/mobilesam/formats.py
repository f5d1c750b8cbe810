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
"""The one class of masks that have no names."""


class Masks(Protocol):
    """What a format needs of a scene. One that knows what its masks are has `labels` too, a name for each."""

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


def labels_of(scene: Masks) -> Sequence[str]:
    """What each mask is called."""
    labels: Sequence[str] = getattr(scene, "labels", ())
    return labels or [LABEL] * len(scene.candidates)


def classes_of(scenes: Sequence[Masks]) -> list[str]:
    """The names of all masks, each once, as they first come; `LABEL` where there is no mask."""
    return list(dict.fromkeys(label for scene in scenes for label in labels_of(scene))) or [LABEL]


def coco(scene: Masks) -> dict[str, Any]:
    """A COCO instances file of one photo, with run lengths."""
    return coco_of([scene])


def coco_of(scenes: Sequence[Masks]) -> dict[str, Any]:
    """A COCO instances file of several photos, with run lengths."""
    return _coco(scenes, rle)


def coco_with_polygons(scene: Masks) -> dict[str, Any]:
    """A COCO instances file of one photo, with polygons."""
    return _coco([scene], lambda candidate, _: coco_polygons(regions(candidate)))


def _coco(scenes: Sequence[Masks], segmentation: Callable[[Candidate, HW], Any]) -> dict[str, Any]:
    classes = classes_of(scenes)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, scene in enumerate(scenes, start=1):
        height, width = scene.image_hw
        images.append({"id": image_id, "file_name": scene.name, "height": height, "width": width})
        for candidate, label in zip(scene.candidates, labels_of(scene), strict=True):
            x1, y1, x2, y2 = candidate.window
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": classes.index(label) + 1,
                    "segmentation": segmentation(candidate, scene.image_hw),
                    "area": candidate.area,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": 0,
                    "predicted_iou": candidate.predicted_iou,
                    "stability_score": candidate.stability_score,
                }
            )
    categories = [{"id": i, "name": name, "supercategory": ""} for i, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def yolo(scene: Masks, classes: Sequence[str] = ()) -> str:
    """One line a mask: the number of its class, then x and y as shares of width and height.

    `classes` are all names in order, by default the scene's own as they come.
    """
    known = list(classes) or classes_of([scene])
    scale = np.array(scene.image_hw[::-1], np.float32)
    lines = []
    for candidate, label in zip(scene.candidates, labels_of(scene), strict=True):
        ring = one_ring(_rings(regions(candidate))) / scale
        lines.append(" ".join([str(known.index(label)), *(f"{value:.6f}" for value in ring.reshape(-1))]))
    return "".join(f"{line}\n" for line in lines)


def labelme(scene: Masks) -> dict[str, Any]:
    """A LabelMe file that refers to the photo by its name."""
    shapes = [
        {
            "label": label,
            "points": one_ring([region.exterior, *region.holes]).tolist(),
            "group_id": number,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
        }
        for number, (candidate, label) in enumerate(zip(scene.candidates, labels_of(scene), strict=True), start=1)
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
