"""What supervision, a real client, makes of our results."""

from __future__ import annotations

import numpy as np
import supervision as sv

import mobilesam
from conftest import COFFEE
from mobilesam.compat.ultralytics import SAM, auto_annotate
from mobilesam.compat.ultralytics.detections import read
from mobilesam.testing import FakeBackend


def test_from_ultralytics(default_sam: mobilesam.SAM) -> None:
    (result,) = SAM(default_sam)(COFFEE, points=[[300, 200], [450, 120]])
    found = sv.Detections.from_ultralytics(result)
    np.testing.assert_array_equal(found.xyxy, result.boxes.xyxy.numpy())
    np.testing.assert_array_equal(found.mask, result.masks.data.numpy())
    np.testing.assert_array_equal(found.confidence, result.boxes.conf.numpy())
    assert found.class_id.tolist() == [0, 1]
    assert found.data["class_name"].tolist() == ["0", "1"]
    assert found.tracker_id is None


def test_from_ultralytics_without_masks() -> None:
    (result,) = SAM(mobilesam.SAM.from_backend(FakeBackend()))(
        np.zeros((40, 60, 3), np.uint8), points=[3, 3], conf=0.99
    )
    assert len(sv.Detections.from_ultralytics(result)) == 0


def test_from_sam(default_sam: mobilesam.SAM) -> None:
    for mode in ("binary_mask", "uncompressed_rle", "coco_rle"):
        scene = default_sam.everything(COFFEE, points_per_side=4, output_mode=mode)
        found = sv.Detections.from_sam(list(scene))
        order = np.argsort(-scene.areas, kind="stable")
        assert len(found) == len(scene) > 1
        np.testing.assert_array_equal(np.asarray(found.mask), scene.masks[order])
        np.testing.assert_array_equal(found.xyxy, scene.boxes[order] - (0, 0, 1, 1))


def test_detections_prompt_auto_annotate(tmp_path: object) -> None:
    given = sv.Detections(np.array([[10.0, 5, 30, 25]]), class_id=np.array([7]), confidence=np.array([0.5]))
    found = read(given)
    assert (found.boxes.tolist(), found.classes.tolist(), found.conf.tolist()) == ([[10, 5, 30, 25]], [7], [0.5])
    folder = auto_annotate(
        COFFEE, sam_model=mobilesam.SAM.from_backend(FakeBackend()), detector=lambda _: given, output_dir=tmp_path
    )
    assert (folder / "coffee.txt").read_text().startswith("7 ")
