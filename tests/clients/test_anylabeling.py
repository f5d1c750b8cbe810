"""AnyLabeling 0.4.43 and X-AnyLabeling 4.2.1 (both GPL, so in processes of their own) on files that we export."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import load_sam
from mobilesam.image import to_rgb
from programs import PHOTOS, logits, marks, mask_iou, run

pytestmark = pytest.mark.clients
CANVAS_HW = (684, 1024)
"""Both programs put every photo on a canvas of this size, top left."""
PROGRAMS = {"anylabeling": "config.yaml", "x_anylabeling": "x_anylabeling.yaml"}


@pytest.fixture(scope="module", params=list(PROGRAMS))
def answers(request, exported, tmp_path_factory) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    name, work = request.param, tmp_path_factory.mktemp(request.param)
    asked = {
        "config": exported("anylabeling") / PROGRAMS[name],
        "photos": PHOTOS,
        "marks": {photo: marks(path) for photo, path in PHOTOS.items()},
    }
    printed = run(name, asked, work, driver="anylabeling")
    with np.load(work / "masks.npz") as data:
        return name, printed, dict(data)


@pytest.mark.parametrize("photo", list(PHOTOS))
def test_their_masks_are_ours(answers, photo: str) -> None:
    _, _, found = answers
    rgb = to_rgb(PHOTOS[photo])
    scale = min(CANVAS_HW[1] / rgb.shape[1], CANVAS_HW[0] / rgb.shape[0])
    onto_canvas = np.array([[scale, 0, 0], [0, scale, 0]])
    embedding = load_sam("onnx").embed(cv2.warpAffine(rgb, onto_canvas, CANVAS_HW[::-1], flags=cv2.INTER_LINEAR))
    np.testing.assert_allclose(found[f"{photo}.embedding"], embedding.features_bchw, atol=2e-4)
    for name, given in marks(PHOTOS[photo]).items():
        scaled = [{**mark, "data": np.multiply(mark["data"], scale)} for mark in given]
        over_canvas = logits(embedding, scaled)
        back = cv2.warpAffine(over_canvas, onto_canvas / scale**2, rgb.shape[1::-1], flags=cv2.INTER_LINEAR)
        theirs = found[f"{photo}.{name}"]
        assert theirs.shape == (1, 1, *rgb.shape[:2])
        assert mask_iou(theirs[0, 0] > 0, back > 0) >= 0.999, name
        assert abs(theirs[0, 0] - back).max() < 1e-3, name
        assert 0.002 < (theirs > 0).mean() < 0.9, name  # something was cut out, and not all


def test_the_configuration_has_what_the_program_reads(answers) -> None:
    name, printed, _ = answers
    config = printed["config"]
    assert f"/{name}/" in printed["file"]  # it was their own runner
    read = {"type", "name", "display_name", "encoder_model_path", "decoder_model_path"}
    assert read | {"input_size", "max_width", "max_height"} <= config.keys()
    assert config["type"] == "segment_anything"
    assert [config[k] for k in ("input_size", "max_width")] == [1024, 1024]
    assert ("provider" in config) == (name == "x_anylabeling")


def test_anylabelings_zip_is_one_model_folder(exported, tmp_path: Path) -> None:
    """As its model_manager does: unpack, walk, take the first folder with a config.yaml."""
    with zipfile.ZipFile(exported("anylabeling") / "mobilesam.zip") as archive:
        archive.extractall(tmp_path)
    (found,) = [p.parent for p in tmp_path.rglob("config.yaml")]
    for part in ("encoder", "decoder"):
        assert f'{part}_model_path: "mobilesam.{part}.onnx"' in (found / "config.yaml").read_text()
        unpacked, written = (folder / f"mobilesam.{part}.onnx" for folder in (found, exported("anylabeling")))
        assert unpacked.read_bytes() == written.read_bytes()
