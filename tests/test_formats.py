"""Each format read back as its own programs read it, and compared with the masks."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from shapely.geometry import box, shape

from mobilesam import InputError, OutputError, Scene
from mobilesam.everything import Candidate
from mobilesam.formats import DOCUMENTS
from mobilesam.masks import Polygon, iou, rasterize
from mobilesam.scene import SUFFIXES

HW = (60, 90)


def masked(inside: np.ndarray, corner: tuple[int, int]) -> Candidate:
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, 0.9, 0.97, (5.0, 5.0), (0, 0, 90, 60), parent=None)
    return empty.covering(inside, corner)


@pytest.fixture
def scene() -> Scene:
    """A ring, two regions, one pixel, and a mask over the whole photo."""
    ys, xs = np.mgrid[-20:21, -20:21]
    ring = (xs**2 + ys**2 <= 400) & (xs**2 + ys**2 >= 64)
    pair = np.zeros((10, 30), bool)
    pair[:8, :10] = pair[3:, 18:] = True
    found = [masked(ring, (5, 10)), masked(pair, (50, 2)), masked(np.ones((1, 1), bool), (89, 59))]
    found.append(masked(np.ones(HW, bool), (0, 0)))
    return Scene(found, HW, np.zeros((*HW, 3), np.uint8), "photo.jpg")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_coco_run_lengths_by_pycocotools(scene: Scene, tmp_path: Path) -> None:
    data = COCO(str(scene.save(tmp_path / "c.json", "coco")))
    annotations = data.loadAnns(data.getAnnIds())
    assert [a["category_id"] for a in annotations] == [1] * 4
    assert data.loadImgs([1])[0] | {"id": 1} == {"id": 1, "file_name": "photo.jpg", "height": 60, "width": 90}
    for i, annotation in enumerate(annotations):
        np.testing.assert_array_equal(data.annToMask(annotation).astype(bool), scene.masks[i])
        assert annotation["area"] == scene.areas[i]
        x, y, w, h = annotation["bbox"]
        assert [x, y, x + w, y + h] == scene.boxes[i].tolist()


def test_coco_polygons_by_pycocotools(scene: Scene, tmp_path: Path) -> None:
    """pycocotools draws polygons a little its own way; holes stay holes."""
    data = COCO(str(scene.save(tmp_path / "c.json", "coco-polygons")))
    for i in (0, 1, 3):
        drawn = data.annToMask(data.loadAnns([i + 1])[0]).astype(bool)
        assert iou(drawn, scene.masks[i]) > 0.9
    assert not data.annToMask(data.loadAnns([1])[0])[30, 25]


def test_yolo_lines_are_single_rings(scene: Scene, tmp_path: Path) -> None:
    lines = scene.save(tmp_path / "labels.txt").read_text().splitlines()
    assert len(lines) == 4
    for i, line in enumerate(lines):
        kind, *numbers = line.split()
        ring = np.array(numbers, float).reshape(-1, 2)
        assert kind == "0"
        assert ring.min() >= 0
        assert ring.max() <= 1
        pixels = np.round(ring * [90, 60], 2).astype(np.float32)
        np.testing.assert_array_equal(rasterize([Polygon(pixels)], HW), scene.masks[i])
        # As Ultralytics draws labels: OpenCV's polygons, whose border counts.
        drawn = cv2.fillPoly(np.zeros(HW, np.uint8), [pixels.astype(np.int32)], 1).astype(bool)
        assert (drawn & scene.masks[i]).sum() == scene.masks[i].sum() or iou(drawn, scene.masks[i]) > 0.8


def test_labelme_shapes(scene: Scene, tmp_path: Path) -> None:
    document = read(scene.save(tmp_path / "photo.json", "labelme"))
    assert (document["imagePath"], document["imageHeight"], document["imageWidth"]) == ("photo.jpg", 60, 90)
    assert document["imageData"] is None
    assert {s["shape_type"] for s in document["shapes"]} == {"polygon"}
    for i in range(4):
        rings = [Polygon(np.array(s["points"], np.float32)) for s in document["shapes"] if s["group_id"] == i + 1]
        assert len(rings) == (2 if i == 1 else 1)
        np.testing.assert_array_equal(rasterize(rings, HW), scene.masks[i])


def test_geojson_by_shapely(scene: Scene, tmp_path: Path) -> None:
    document = read(scene.save(tmp_path / "out.geojson"))
    assert document["type"] == "FeatureCollection"
    for i, feature in enumerate(document["features"]):
        geometry = shape(feature["geometry"])
        assert geometry.is_valid
        assert geometry.area == scene.areas[i]
        assert geometry.bounds == tuple(scene.boxes[i].tolist())
        assert feature["properties"]["parent"] is None
    ring = shape(document["features"][0]["geometry"])
    assert not ring.intersects(box(24.4, 29.4, 25.6, 30.6))


def test_one_png_a_mask_in_a_folder_that_appears_whole(scene: Scene, tmp_path: Path) -> None:
    for _ in range(2):  # the second time it replaces the first
        folder = scene.save(tmp_path / "masks")
        files = sorted(folder.iterdir())
        assert [f.name for f in files] == [f"{i:05d}.png" for i in range(4)]
        for i, file in enumerate(files):
            np.testing.assert_array_equal(np.asarray(Image.open(file)) == 255, scene.masks[i])
    assert [p.name for p in tmp_path.iterdir()] == ["masks"]


def test_a_folder_with_other_things_is_left_alone(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="holds something else"):
        scene.save(tmp_path / "thesis", "masks")
    assert (tmp_path / "thesis/thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("kind", SUFFIXES)
def test_every_kind_of_an_empty_scene(tmp_path: Path, kind: str) -> None:
    empty = Scene([], HW, np.zeros((*HW, 3), np.uint8), "p.png")
    target = empty.save(tmp_path / f"out{SUFFIXES[kind][0]}", kind)
    assert target.exists()
    if kind in DOCUMENTS and kind != "yolo":
        assert read(target)


def test_more_masks_than_a_label_map_holds() -> None:
    many = [masked(np.ones((1, 1), bool), (0, 0))] * 65536
    with pytest.raises(InputError, match="holds 65535 masks"):
        Scene(many, HW).save("never.png", "labels")
