"""micro-sam 1.8.14 with `mobilesam.compat.mobile_sam` as the `mobile_sam` that it prefers, model type vit_t."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conftest import load_sam
from mobilesam import Embedding
from programs import best_partners, mask_iou, run

pytestmark = pytest.mark.nightly
POINT, BOX = (300, 200), (170, 15, 425, 310)


@pytest.fixture(scope="module")
def answer(checkpoint, photo, tmp_path_factory) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    work = tmp_path_factory.mktemp("micro_sam")
    x1, y1, x2, y2 = BOX
    asked = {"photo": photo, "checkpoint": checkpoint, "points_per_side": 8}
    printed = run("micro_sam", {**asked, "point_yx": POINT[::-1], "box_yxyx": (y1, x1, y2, x2)}, work)
    with np.load(work / "arrays.npz") as data:
        return printed, dict(data)


@pytest.fixture(scope="module")
def embedding(answer) -> Embedding:
    """Of the photo as micro-sam normalises it."""
    return load_sam("pytorch").embed(answer[1]["image"])


def test_it_is_our_model(answer) -> None:
    printed, _ = answer
    assert (printed["version"], printed["model_type"]) == ("1.8.14", "vit_t")
    assert printed["from"].startswith("mobilesam.compat.")


def test_embeddings_survive_its_zarr(answer, embedding: Embedding) -> None:
    _, arrays = answer
    np.testing.assert_array_equal(arrays["again"], arrays["features"])
    np.testing.assert_allclose(arrays["features"].reshape(1, 256, 64, 64), embedding.features_bchw, atol=1e-4)


def test_prompts_on_restored_embeddings(answer, embedding: Embedding) -> None:
    _, arrays = answer
    sam = load_sam("pytorch")
    box = sam.predict(embedding, bboxes=BOX)[0].masks[0]
    click = sam.predict(embedding, points=POINT, multimask=True)[0].best().masks[0]
    assert mask_iou(arrays["box"].reshape(box.shape) > 0, box) > 0.999
    assert mask_iou(arrays["click"].reshape(click.shape) > 0, click) > 0.999


def test_its_everything_finds_ours(answer, embedding: Embedding) -> None:
    """Its generator filters by rules of its own and makes masks disjoint, so not each of ours comes back whole."""
    _, arrays = answer
    ours = load_sam("pytorch").everything(embedding, points_per_side=8, quality="exact").masks
    found = np.stack([arrays["labels"] == label for label in np.unique(arrays["labels"]) if label])
    whole = best_partners(found, ours) > 0.999
    assert 3 <= np.count_nonzero(whole) <= len(ours)
