from __future__ import annotations

import pytest
import torch

from mobilesam.nn.config import TinyVitConfig
from mobilesam.nn.cut import CutTinyVit
from mobilesam.nn.tiny_vit import TinyVit

NARROW = TinyVitConfig(dims=(8, 8, 10, 12), depths=(1, 1, 2, 1), heads=(1, 2, 2, 3))


@pytest.fixture(scope="module")
def encoder() -> TinyVit:
    torch.manual_seed(0)
    made = TinyVit(NARROW, 1024).eval()
    for key, value in made.state_dict().items():  # nothing neutral, so that nothing can be skipped unnoticed
        if key.endswith(("running_var", "running_mean", "attention_biases", "norm.bias", "bn.bias")):
            value.uniform_(0.2, 1.0)
    return made


@pytest.mark.parametrize("rows", [36, 42, 45, 56])
def test_below_the_cut_there_is_an_endless_blank(encoder: TinyVit, rows: int) -> None:
    """On a blank photo the last rows can't tell the cut from more of the same, far from the square's edges."""
    with torch.inference_mode():
        whole = encoder(torch.zeros(1, 3, 1024, 1024))
        part = CutTinyVit(encoder)(torch.zeros(1, 3, 16 * rows, 1024))
    assert part.shape == (1, 256, 56 if rows > 42 else 42, 64)  # whole windows of 14
    inner = whole[:, :, 32:33, 30:34]
    torch.testing.assert_close(part[:, :, -4:, 30:34], inner.expand(-1, -1, 4, -1), atol=1e-5, rtol=1e-4)


def test_rows_far_above_the_cut_are_the_whole_squares(encoder: TinyVit) -> None:
    photo = torch.randn(1, 3, 1024, 1024)
    photo[:, :, 16 * 43 :] = 0
    with torch.inference_mode():
        whole, part = encoder(photo), CutTinyVit(encoder)(photo[:, :, : 16 * 45])
        zeros_below = TinyVit.forward(encoder, photo[:, :, : 16 * 45])

    def error(rows: slice, found: torch.Tensor = part) -> float:
        return float((found - whole)[:, :, rows].norm() / whole[:, :, rows].norm())

    part, zeros_below = part[:, :, :45], zeros_below[:, :, :45]
    whole = whole[:, :, :45]
    assert error(slice(0, 14), part) < 1e-3
    assert error(slice(0, 43), part) < 0.2 * error(slice(0, 43), zeros_below)
