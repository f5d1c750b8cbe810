"""AP: pycocotools' and lvis' own figures on stored predictions."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobilesam.evaluate import metrics
from mobilesam.evaluate.detection import average_precision

STORED = json.loads((Path(__file__).parent / "data/lvis.json").read_text())
PHOTOS = [image["id"] for image in STORED["truth"]["images"]]


def by_pycocotools(truth: dict[str, Any], detections: list[dict[str, Any]]) -> list[float]:
    known = COCO()
    known.dataset = copy.deepcopy(truth)
    for annotation in known.dataset["annotations"]:
        annotation.setdefault("iscrowd", 0)
    known.createIndex()
    evaluation = COCOeval(known, known.loadRes(copy.deepcopy(detections)), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return list(evaluation.stats)


def figures(values: dict[tuple[str, str], tuple[float, float, float]]) -> dict[str, float]:
    return {name + ("" if size == "all" else size.lower()): value for (name, size), (value, _, _) in values.items()}


def test_ap_is_pycocotools() -> None:
    truth = copy.deepcopy(STORED["truth"])
    for annotation in truth["annotations"][::7]:
        annotation["iscrowd"] = 1
    found = figures(average_precision(truth, STORED["detections"], PHOTOS))
    expected = by_pycocotools(truth, STORED["detections"])
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    assert [found[name] for name in names] == pytest.approx(expected[:6], abs=1e-12)


def test_ap_is_lvis() -> None:
    found = figures(average_precision(STORED["truth"], STORED["detections"], PHOTOS, is_lvis=True))
    expected = {name: value for name, value in STORED["figures"].items() if name.startswith("AP")}
    assert found == pytest.approx(expected, abs=1e-12)


def test_only_the_best_300_masks_of_a_photo_count_for_lvis() -> None:
    truth = {**STORED["truth"], "images": STORED["truth"]["images"][:1]}
    (first,) = [d for d in STORED["detections"] if d["image_id"] == 1][:1]
    right = {**first, "score": 0.01, "segmentation": STORED["truth"]["annotations"][0]["segmentation"]}
    right["category_id"] = STORED["truth"]["annotations"][0]["category_id"]
    corner = np.zeros((120, 120), np.uint8)
    corner[-1, -1] = 1
    wrong = {**right, "score": 0.9, "segmentation": encoded(corner)}
    some = average_precision(truth, [right, *[wrong] * 299], [1], is_lvis=True)
    none = average_precision(truth, [right, *[wrong] * 300], [1], is_lvis=True)
    assert some["AP50", "all"][0] > none["AP50", "all"][0] >= 0


def test_boundary_ap_takes_the_smaller_of_both_ious() -> None:
    edge = np.zeros((60, 60), np.uint8)
    edge[10:50, 10:50] = 1
    shrunk = np.zeros_like(edge)
    shrunk[13:47, 13:47] = 1
    assert metrics.iou(edge > 0, shrunk > 0) > 0.7
    assert metrics.boundary_iou(edge > 0, shrunk > 0) < 0.5
    truth = {
        "images": [{"id": 1, "height": 60, "width": 60}],
        "categories": [{"id": 1}],
        "annotations": [
            {
                "id": 0,
                "image_id": 1,
                "category_id": 1,
                "area": 1600,
                "segmentation": encoded(edge),
                "bbox": [10, 10, 40, 40],
            }
        ],
    }
    detection = {"image_id": 1, "category_id": 1, "score": 1.0, "segmentation": encoded(shrunk)}
    plain = average_precision(truth, [detection], [1])
    strict = average_precision(truth, [detection], [1], by_boundary=True)
    assert plain["AP50", "all"][0] == pytest.approx(1)  # and annotation 0 is no "no match"
    assert strict["AP50", "all"][0] == 0
    crowd = copy.deepcopy(truth)
    crowd["annotations"].append({**truth["annotations"][0], "id": 2, "iscrowd": 1})
    assert average_precision(crowd, [detection], [1], by_boundary=True)["AP50", "all"][0] == pytest.approx(0)


def test_intervals_hold_the_value_and_nothing_found_is_zero() -> None:
    value, low, high = average_precision(STORED["truth"], STORED["detections"], PHOTOS)["AP", "all"]
    assert low < value < high
    assert average_precision(STORED["truth"], [], PHOTOS)["AP", "all"][0] == 0
    some = average_precision(STORED["truth"], STORED["detections"], PHOTOS[:2])
    assert some["AP", "all"][0] != value


def encoded(mask: np.ndarray) -> dict[str, Any]:
    found = rle.encode(np.asfortranarray(mask))
    return {"size": found["size"], "counts": found["counts"].decode()}
