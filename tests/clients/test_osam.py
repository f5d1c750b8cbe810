"""osam 0.8.1, which labelme uses: our files registered as a model of its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, load_sam
from programs import PHOTOS, logits, marks, mask_iou, run, tokens

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def masks(exported, tmp_path_factory) -> dict[str, np.ndarray]:
    work = tmp_path_factory.mktemp("osam_work")
    (work / "osam_files").symlink_to(exported("osam"))
    (snippet,) = re.findall(r"```py\n(.*?)```", (ROOT / "docs/clients.md").read_text(encoding="utf-8"), re.S)
    asked = {
        "snippet": snippet,
        "photos": PHOTOS,
        "prompts": {photo: {n: tokens(g) for n, g in marks(path).items()} for photo, path in PHOTOS.items()},
    }
    assert run("osam", asked, work) == {"osam": "0.8.1"}
    assert len(list(Path(work, ".cache/osam/models/blobs").iterdir())) == 2  # placed there, nothing was fetched
    with np.load(work / "masks.npz") as data:
        return dict(data)


@pytest.mark.parametrize("photo", list(PHOTOS))
def test_its_masks_are_ours(masks, photo: str) -> None:
    embedding = load_sam("onnx").embed(PHOTOS[photo])
    for name, given in marks(PHOTOS[photo]).items():
        ours, theirs = logits(embedding, given) > 0, masks[f"{photo}.{name}"]
        assert mask_iou(theirs, ours) >= 0.999, name
        assert 0.002 < theirs.mean() < 0.9, name
