"""segment-geospatial 1.4.2 with `mobilesam.compat.segment_anything` in the place of Meta's package, key vit_t."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import load_sam
from programs import best_partners, mask_iou, run

pytestmark = pytest.mark.nightly
POINT, BOX = [300, 200], [170, 15, 425, 310]


@pytest.fixture(scope="module")
def arrays(checkpoint, photo, tmp_path_factory) -> dict[str, np.ndarray]:
    work = tmp_path_factory.mktemp("samgeo")
    asked = {"photo": photo, "checkpoint": checkpoint, "points_per_side": 8, "point": POINT, "box": BOX}
    printed = run("samgeo", asked, work)
    assert printed["version"] == "1.4.2"
    assert printed["from"].startswith("mobilesam.compat.segment_anything")
    with np.load(work / "arrays.npz") as data:
        return dict(data)


def test_generate_finds_our_masks(arrays, everything) -> None:
    found = arrays["everything"]
    assert len(found) == len(everything)
    assert best_partners(found, everything).min() > 0.98  # of two near-duplicates with equal scores either may stay


def test_predict_with_a_point(arrays, photo) -> None:
    ours = load_sam("pytorch").predict(photo, points=POINT, multimask=True)[0]
    np.testing.assert_allclose(arrays["click_scores"], ours.iou, atol=1e-3)
    for theirs, mask in zip(arrays["click"], ours.masks, strict=True):
        assert mask_iou(np.asarray(theirs, bool), mask) > 0.999


def test_its_predictor_that_never_calls_the_base_class(arrays, photo) -> None:
    ours = load_sam("pytorch").predict(photo, bboxes=BOX)[0]
    np.testing.assert_allclose(arrays["box_scores"], ours.iou, atol=1e-3)
    assert mask_iou(arrays["box"][0], ours.masks[0]) > 0.999
