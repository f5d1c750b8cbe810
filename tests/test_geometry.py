from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilesam import InputError
from mobilesam.geometry import Letterbox, Upsampler

sides = st.integers(1, 6000)


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_there_and_back_within_half_a_pixel(height: int, width: int, fx: float, fy: float) -> None:
    point = np.array([[fx * width, fy * height]])
    letterbox = Letterbox((height, width))
    assert abs(letterbox.to_image(letterbox.to_model(point)) - point).max() < 0.5


@given(sides, sides)
def test_the_longest_side_fills_the_square(height: int, width: int) -> None:
    resized = Letterbox((height, width)).resized_hw
    assert max(resized) == 1024
    assert min(resized) >= 1


@pytest.mark.parametrize(
    ("image_hw", "resized_hw"),
    [
        ((400, 600), (683, 1024)),
        ((1001, 2048), (501, 1024)),  # half up, where some ports round half to even and get 500
        ((1200, 1800), (683, 1024)),
        ((37, 53), (715, 1024)),
        ((1, 5000), (1, 1024)),
    ],
)
def test_sizes_are_upstreams(image_hw: tuple[int, int], resized_hw: tuple[int, int]) -> None:
    assert Letterbox(image_hw).resized_hw == resized_hw


def test_corners_go_to_corners() -> None:
    corners = np.array([[0, 0], [600, 400]])
    assert Letterbox((400, 600)).to_model(corners).tolist() == [[0, 0], [1024, 683]]


@pytest.mark.parametrize("hw", [(0, 5), (5, 0), (-1, 5)])
def test_sizes_must_be_positive(hw: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        Letterbox(hw)


@pytest.mark.parametrize("hw", [(400, 600), (37, 53), (600, 400), (1, 900), (1024, 1024), (1200, 1800), (7, 3)])
def test_upsample_is_the_two_bilinear_steps_of_upstream(hw: tuple[int, int]) -> None:
    import torch

    letterbox = Letterbox(hw)
    low_res = np.random.default_rng(0).normal(0, 10, (256, 256)).astype(np.float32)
    step = {"mode": "bilinear", "align_corners": False}
    square = torch.nn.functional.interpolate(torch.tensor(low_res)[None, None], (1024, 1024), **step)
    height, width = letterbox.resized_hw
    expected = torch.nn.functional.interpolate(square[..., :height, :width], hw, **step)[0, 0].numpy()
    np.testing.assert_allclose(letterbox.upsample(low_res), expected, atol=2e-3)


def test_downsample_and_upsample_of_a_blob_agree() -> None:
    letterbox = Letterbox((400, 600))
    mask = np.zeros((400, 600), np.float32)
    mask[100:300, 200:500] = 1
    low_res = letterbox.downsample(mask)
    assert low_res.shape == (256, 256)
    assert not low_res[171:].any()  # 683 / 4: below is padding
    back = letterbox.upsample(low_res - 0.5) > 0
    assert (back != (mask > 0)).mean() < 0.01


def test_resize_leaves_a_fitting_image_alone() -> None:
    image = np.random.default_rng(0).integers(0, 255, (1024, 512, 3), np.uint8)
    assert Letterbox((1024, 512)).resize(image) is image


@pytest.mark.parametrize("hw", [(400, 600), (37, 53), (600, 400), (1, 900), (1024, 1024), (7, 3)])
@pytest.mark.parametrize("threshold", [-1.0, 0.0])
def test_a_part_of_a_mask_is_that_part_of_the_whole(hw: tuple[int, int], threshold: float) -> None:
    letterbox = Letterbox(hw)
    cells = np.arange(256)
    blob = 20 - np.hypot(cells[:, None] - 40, cells[None] - 90) + np.random.default_rng(0).normal(size=(256, 256))
    low_res = blob.astype(np.float32)
    whole = letterbox.upsample(low_res)
    upsampler = Upsampler.of(letterbox)
    rows, columns = upsampler.window(low_res, threshold)
    part = upsampler.logits(low_res, rows, columns)
    np.testing.assert_allclose(part, whole[rows, columns], atol=1e-4)
    outside = np.ones(hw, bool)
    outside[rows, columns] = False
    assert not (whole[outside] > threshold + 1e-4).any()


def test_the_part_of_an_empty_mask_is_empty() -> None:
    upsampler, low_res = Upsampler.of(Letterbox((40, 60))), np.full((256, 256), -5, np.float32)
    rows, columns = upsampler.window(low_res, -1.0)
    part = upsampler.logits(low_res, rows, columns)
    assert (part.size, rows, columns) == (0, slice(0, 0), slice(0, 0))
