"""samexporter 0.5.0: its runner on our files with pixels inside (rank 3) and with a normalised square (rank 4)."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import load_sam
from programs import PHOTOS, logits, marks, mask_iou, run

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module", params=["anylabeling", "osam"])
def masks(request, exported, tmp_path_factory) -> dict[str, np.ndarray]:
    folder, work = exported(request.param), tmp_path_factory.mktemp("samexporter")
    asked = {
        **{part: folder / f"mobilesam.{part}.onnx" for part in ("encoder", "decoder")},
        "photos": PHOTOS,
        "marks": {photo: marks(path) for photo, path in PHOTOS.items()},
    }
    assert run("samexporter", asked, work) == {"version": "0.5.0"}
    with np.load(work / "masks.npz") as data:
        return dict(data)


@pytest.mark.parametrize("photo", list(PHOTOS))
def test_its_masks_are_ours(masks, photo: str) -> None:
    embedding = load_sam("onnx").embed(PHOTOS[photo])
    for name, given in marks(PHOTOS[photo]).items():
        ours, theirs = logits(embedding, given), masks[f"{photo}.{name}"]
        assert theirs.shape == (1, 1, *embedding.image_hw)
        assert mask_iou(theirs[0, 0] > 0, ours > 0) >= 0.999, name
        assert abs(theirs[0, 0] - ours).max() < 1e-3, name
