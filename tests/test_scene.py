from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam import SAM, InputError, Scene
from mobilesam.everything import Candidate
from mobilesam.image import to_rgb
from mobilesam.masks import rle_decode
from mobilesam.testing import FakeBackend

HW = (60, 90)
IMAGE = np.random.default_rng(0).integers(0, 255, (*HW, 3), np.uint8)


def disc(x: int, y: int, radius: int) -> Candidate:
    ys, xs = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = xs**2 + ys**2 <= radius**2
    return masked(inside, (x - radius, y - radius), (float(x), float(y)))


def masked(inside: np.ndarray, corner=(0, 0), point=(0.0, 0.0)) -> Candidate:
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, 0.9, 0.97, point, (0, 0, 90, 60))
    return empty.covering(inside, corner)


@pytest.fixture
def scene() -> Scene:
    return Scene([disc(30, 30, 20), disc(35, 30, 5), disc(70, 20, 8)], HW, IMAGE, "photo.jpg", Path("photo.jpg"))


def test_records_have_metas_keys_and_values(scene: Scene) -> None:
    record = scene[1]
    assert list(record) == [
        "segmentation", "area", "bbox", "predicted_iou", "point_coords", "stability_score", "crop_box",
    ]  # fmt: skip
    np.testing.assert_array_equal(record["segmentation"], scene.masks[1])
    assert record["area"] == scene.masks[1].sum() == scene.areas[1]
    assert record["bbox"] == [30, 25, 10, 10]  # Meta's boxes end at the last pixel, not after it
    assert scene.boxes[1].tolist() == [30, 25, 41, 36]
    assert record["point_coords"] == [[35.0, 30.0]]
    assert record["crop_box"] == [0, 0, 90, 60]
    assert [r["area"] for r in scene[:2]] == [r["area"] for r in scene][:2]
    assert len(scene) == 3


def test_segmentations_in_three_forms(scene: Scene) -> None:
    for mode in ("binary_mask", "coco_rle", "uncompressed_rle"):
        for i, record in enumerate(Scene(scene.candidates, HW, output_mode=mode)):
            found = record["segmentation"]
            mask = found if mode == "binary_mask" else rle_decode(found)
            np.testing.assert_array_equal(mask, scene.masks[i])
            if mode == "uncompressed_rle":
                assert sum(found["counts"]) == 60 * 90


def test_a_run_length_that_begins_inside() -> None:
    full = masked(np.ones((2, 3), bool))
    assert Scene([full], (2, 3), output_mode="uncompressed_rle")[0]["segmentation"]["counts"] == [0, 6]


def test_the_label_map_gives_each_pixel_its_smallest_mask(scene: Scene) -> None:
    labels = scene.label_map()
    assert (labels[30, 35], labels[30, 20], labels[20, 70], labels[0, 0]) == (2, 1, 3, 0)
    np.testing.assert_array_equal(labels == 2, scene.masks[1])
    np.testing.assert_array_equal(labels > 0, scene.masks.any(axis=0))


def test_saved_files_read_back(scene: Scene, tmp_path: Path) -> None:
    document = json.loads(scene.save(tmp_path / "s.json").read_text())
    assert (document["name"], document["height"], document["width"]) == ("photo.jpg", 60, 90)
    for i, record in enumerate(document["masks"]):
        np.testing.assert_array_equal(rle_decode(record["segmentation"]), scene.masks[i])
    with Image.open(scene.save(tmp_path / "l.png", kind="labels")) as labels:
        assert labels.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(labels), scene.label_map())
    np.testing.assert_array_equal(to_rgb(scene.save(tmp_path / "o.png")), scene.plot())


def test_the_plot_leaves_the_rest_of_the_photo_alone(scene: Scene) -> None:
    picture = scene.plot()
    np.testing.assert_array_equal(picture[50:, 60:], IMAGE[50:, 60:])
    assert (picture[30, 20] != IMAGE[30, 20]).any()
    with pytest.raises(InputError, match="no photo"):
        Scene(scene.candidates, HW).plot()
    np.testing.assert_array_equal(Scene(scene.candidates, HW).with_photo(IMAGE).plot(), picture)
    with pytest.raises(InputError, match="The photo is"):
        Scene(scene.candidates, HW).with_photo(IMAGE[:5])
    assert repr(Scene(scene.candidates[:1], HW)) == "Scene(name='image0', 1 mask of 60x90)"


def test_kinds_and_suffixes_that_dont_fit(scene: Scene, tmp_path: Path) -> None:
    for name, kind, message in (
        ("o.png", "poster", "Unknown kind"),
        ("o.jpg", "labels", ".png"),
        ("o.gif", None, ".png"),
    ):
        with pytest.raises(InputError, match=message):
            scene.save(tmp_path / name, kind=kind)
    assert list(tmp_path.iterdir()) == []


def test_nothing_found(tmp_path: Path) -> None:
    empty = Scene([], HW, IMAGE)
    assert (empty.masks.shape, empty.boxes.shape, empty.areas.shape) == ((0, *HW), (0, 4), (0,))
    np.testing.assert_array_equal(empty.plot(), IMAGE)
    assert not empty.label_map().any()
    assert list(empty) == []
    assert repr(empty) == "Scene(name='image0', 0 masks of 60x90)"


def test_one_photo_gives_a_scene_and_many_a_list() -> None:
    sam = SAM.from_backend(FakeBackend(64))
    one = sam.everything(IMAGE, points_per_side=2)
    assert isinstance(one, Scene)
    assert [s.name for s in sam.everything([IMAGE, IMAGE], points_per_side=2)] == ["image0", "image1"]
