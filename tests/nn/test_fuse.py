from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mobilesam.nn.config import TinyVitConfig
from mobilesam.nn.cut import CutTinyVit
from mobilesam.nn.fuse import FusedWindowAttention, quicken
from mobilesam.nn.tiny_vit import TinyVit

NARROW = TinyVitConfig(dims=(8, 8, 10, 12), depths=(1, 1, 2, 1), heads=(1, 2, 2, 3))


@pytest.fixture(scope="module")
def encoder() -> TinyVit:
    torch.manual_seed(0)
    made = TinyVit(NARROW, 256).eval()
    for key, value in made.state_dict().items():  # nothing neutral, so that nothing can be left out unnoticed
        if key.endswith(("running_var", "running_mean", "attention_biases", "bn.weight", "bn.bias")):
            value.uniform_(0.5, 1.5)
    return made


def test_the_same_embedding_with_less_work(encoder: TinyVit) -> None:
    quick = quicken(copy.deepcopy(encoder))
    kinds = [type(module) for module in quick.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(FusedWindowAttention) == 4
    image = torch.randn(1, 3, 256, 256)
    with torch.inference_mode():
        torch.testing.assert_close(quick(image), encoder(image), atol=1e-4, rtol=1e-4)
        cut = image[:, :, :160]
        torch.testing.assert_close(CutTinyVit(quick)(cut), CutTinyVit(encoder)(cut), atol=1e-4, rtol=1e-4)


def test_the_original_keeps_its_weights(encoder: TinyVit) -> None:
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    quicken(copy.deepcopy(encoder))
    after = encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
