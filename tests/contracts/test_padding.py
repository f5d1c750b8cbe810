"""Photos cut to their content, on every runtime: what is left out must not be missed."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import COFFEE, load_sam, read_golden
from mobilesam import SAM
from mobilesam.geometry import Letterbox
from mobilesam.image import to_rgb, to_tensor
from mobilesam.masks import iou
from mobilesam.padding import Padding
from references import predict


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return to_rgb(COFFEE)


def encoded(sam: SAM, photo: np.ndarray, hw: tuple[int, int] | None = None) -> np.ndarray:
    return sam.predictor.backend.encode(to_tensor(photo, Letterbox(photo.shape[:2]), hw))


def test_the_content_is_that_of_the_whole_square(sam: SAM, photo: np.ndarray) -> None:
    whole, part = encoded(sam, photo), encoded(sam, photo, (45 * 16, 1024))
    assert part.shape == (1, 256, 56, 64)  # whole windows of 14
    error = np.linalg.norm(part[:, :, :43] - whole[:, :, :43]) / np.linalg.norm(whole[:, :, :43])
    assert error < 0.03  # measured 0.024, and 0.2 where zeros take the blank's place


def test_an_upright_photo_is_a_turned_one(sam: SAM, photo: np.ndarray) -> None:
    upright = np.ascontiguousarray(photo.transpose(1, 0, 2))
    whole, part = encoded(sam, upright), encoded(sam, upright, (1024, 45 * 16))
    assert part.shape == (1, 256, 64, 56)
    error = np.linalg.norm(part[..., :43] - whole[..., :43]) / np.linalg.norm(whole[..., :43])
    assert error < 0.05  # measured 0.03


@pytest.mark.parametrize("hw", [(45 * 16, 1024), (1024, 45 * 16)])
def test_runtimes_agree(sam: SAM, photo: np.ndarray, hw: tuple[int, int]) -> None:
    image = photo if hw[0] < hw[1] else np.ascontiguousarray(photo.transpose(1, 0, 2))
    reference = encoded(load_sam("pytorch"), image, hw)
    np.testing.assert_allclose(encoded(sam, image, hw), reference, atol=2e-4)


@pytest.mark.parametrize("name", ["coffee", "coffee_portrait", "chelsea"])
def test_masks_are_those_of_the_whole_square(default_sam: SAM, name: str) -> None:
    """The mean over more photos is in docs/decisions/0004-skipping-the-padding.md."""
    golden, backend = read_golden(name), default_sam.predictor.backend
    skipping = SAM.from_backend(backend)
    skipping.predictor.padding = Padding(backend.info, backend.encode)
    whole, part = default_sam.embed(golden.image), skipping.embed(golden.image)
    assert part.features_bchw.shape == whole.features_bchw.shape
    assert not np.array_equal(part.features_bchw, whole.features_bchw)
    overlaps = [
        iou(a, b)
        for key in golden.facts["prompts"]
        if "multi" not in key  # of the three masks of one click one may stand for another thing
        for a, b in zip(
            predict(default_sam, whole, golden, key).masks, predict(skipping, part, golden, key).masks, strict=True
        )
    ]
    assert np.mean(overlaps) > 0.97
