"""Ultralytics 8.4.190 (AGPL, so in a process of its own) and `mobilesam.compat.ultralytics`, call by call."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

import mobilesam
from mobilesam.compat.ultralytics import SAM
from programs import mask_iou, run

pytestmark = pytest.mark.nightly
A, B = [300, 200], [450, 120]
CUP, SPOON = [170, 15, 425, 310], [320, 240, 410, 330]
PROMPTS: dict[str, dict[str, Any]] = {
    "a point": {"points": A, "labels": [1]},
    "a point without labels": {"points": A},
    "two points, two objects": {"points": [A, B], "labels": [1, 1]},
    "two points, one object": {"points": [[A, B]], "labels": [[1, 1]]},
    "one object, a negative point": {"points": [[A, [60, 40]]], "labels": [[1, 0]]},
    "two objects of two points": {"points": [[A, B], [B, A]], "labels": [[1, 0], [1, 0]]},
    "a box": {"bboxes": CUP},
    "two boxes": {"bboxes": [CUP, SPOON]},
    "a box and a point each": {"bboxes": [CUP, SPOON], "points": [A, [360, 280]], "labels": [1, 1]},
}


@pytest.fixture(scope="module")
def answer(checkpoint, photo, tmp_path_factory) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    work = tmp_path_factory.mktemp("ultralytics")
    named = work / "weights/mobile_sam.pt"  # it knows models by their file names
    named.parent.mkdir()
    shutil.copyfile(checkpoint, named)
    printed = run("ultralytics", {"photo": photo, "checkpoint": named, "prompts": PROMPTS}, work)
    assert printed["version"] == "8.4.190"
    with np.load(work / "arrays.npz") as data:
        return printed["facts"], dict(data)


@pytest.fixture(scope="module")
def sam(checkpoint) -> SAM:
    return SAM(mobilesam.SAM(checkpoint, runtime="pytorch"))


@pytest.mark.parametrize("name", list(PROMPTS))
def test_the_same_call_gives_the_same_objects(answer, sam: SAM, photo, name: str) -> None:
    facts, arrays = answer
    (ours,) = sam(str(photo), verbose=False, **PROMPTS[name])
    masks, boxes = (part.cpu().numpy() for part in (ours.masks.data, ours.boxes.data))
    theirs = facts[name]
    assert [list(masks.shape), str(ours.masks.data.dtype)] == theirs["masks"]
    assert [list(boxes.shape), str(ours.boxes.data.dtype)] == theirs["boxes"]
    assert list(ours.orig_shape) == theirs["orig_shape"]
    assert {str(key): value for key, value in ours.names.items()} == theirs["names"]
    assert [list(xy.shape)[1:] for xy in ours.masks.xy] == theirs["polygons"]
    np.testing.assert_array_equal(boxes[:, 5], arrays[f"{name}.boxes"][:, 5])  # which prompt
    # It enlarges the photo with another filter and pads with grey, so masks agree but for their borders.
    np.testing.assert_allclose(boxes[:, 4], arrays[f"{name}.boxes"][:, 4], atol=0.02)
    for mask, other in zip(masks, arrays[f"{name}.masks"], strict=True):
        assert mask_iou(mask, other) > 0.9
