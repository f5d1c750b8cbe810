"""Candidates of the bench are asked for the same things, so they must give the same masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import COFFEE
from mobilesam.bench.runners import RUNNERS, Runner, bundled_state
from mobilesam.image import to_rgb
from mobilesam.masks import iou
from mobilesam.nn.sam import build_sam

XY = (300.0, 200.0)
BOXES = np.array([[170, 15, 425, 310], [320, 240, 410, 330]], np.float32)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return to_rgb(COFFEE)


@pytest.fixture(scope="module")
def ours() -> Runner:
    return RUNNERS["ours"](None, runtime="openvino", precision="fp32")


def test_upstreams_procedure_gives_our_masks(ours: Runner, photo: np.ndarray) -> None:
    theirs = RUNNERS["compat"](2)
    state, their_state = ours.encode(photo), theirs.encode(photo)
    clicked = theirs.click(their_state, XY)
    assert clicked.shape == (3, 400, 600)  # upstream's default is three masks
    assert max(iou(ours.click(state, XY)[0], mask) for mask in clicked) > 0.5
    boxed = theirs.boxes(their_state, BOXES)[:, 0]
    assert min(iou(a, b) for a, b in zip(ours.boxes(state, BOXES), boxed, strict=True)) > 0.99
    with pytest.raises(NotImplementedError):
        theirs.everything(photo, "fast")


def test_our_fast_mode_finds_masks(ours: Runner) -> None:
    assert ours.everything(np.zeros((64, 96, 3), np.uint8), "fast") >= 0


def test_an_onnx_pair_is_run_as_its_own_runner_does(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Session:
        def __init__(self, path: str, options: object, providers: object) -> None:
            self.path = path

        def get_inputs(self) -> list[object]:
            return [type("Input", (), {"name": "input_image"})]

        def run(self, _: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            asked.append((Path(self.path).name, {name: value.shape for name, value in feeds.items()}))
            if "input_image" in feeds:
                return [np.zeros((1, 256, 64, 64), np.float32)]
            masks = np.full((1, 1, 684, 1024), -1, np.float32)
            masks[..., :300] = 1
            return [masks, np.zeros((1, 1)), np.zeros((1, 1, 256, 256))]

    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    pair = RUNNERS["pair"](1, "encoder.onnx,decoder.onnx")
    state = pair.encode(photo)
    mask = pair.click(state, XY)
    assert mask.shape == (1, 400, 600)
    assert mask[0, :, :170].all()
    assert not mask[0, :, 185:].any()
    assert pair.boxes(state, BOXES).shape == (2, 400, 600)
    assert [name for name, _ in asked] == ["encoder.onnx"] + ["decoder.onnx"] * 3  # a call a box: it takes one object
    assert asked[0][1] == {"input_image": (684, 1024, 3)}
    with pytest.raises(NotImplementedError):
        pair.everything(photo, "exact")


def test_upstreams_loaders_get_every_key_they_ask_for() -> None:
    state = bundled_state()
    left = build_sam().load_state_dict(state, strict=False)
    assert (left.missing_keys, left.unexpected_keys) == ([], [])
