"""The networks that converters take give what the model gives."""

from __future__ import annotations

import pytest
import torch

from conftest import COFFEE, load_sam
from mobilesam.export.contract import ABSENT, CONTRACT, sizes
from mobilesam.export.networks import Networks, rescale
from mobilesam.geometry import Letterbox
from mobilesam.image import to_rgb, to_tensor
from mobilesam.nn.layers import LayerNorm2d
from mobilesam.nn.sam import Sam, with_encoder
from mobilesam.nn.tiny_vit import ConvBn, TinyVit, TinyVitConfig

SIZE = 128


@pytest.fixture(scope="module")
def sam() -> Sam:
    """A narrow model with statistics in its BatchNorms that a wrong folding would show."""
    torch.manual_seed(0)
    narrow = TinyVitConfig(dims=(16, 32, 32, 64), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4))
    sam = with_encoder(TinyVit(narrow, SIZE), SIZE)
    for module in sam.modules():
        if isinstance(module, ConvBn):
            for tensor, low, high in (
                (module.bn.running_mean, -0.5, 0.5),
                (module.bn.running_var, 0.5, 2.0),
                (module.bn.weight.data, 0.5, 1.5),
                (module.bn.bias.data, -0.5, 0.5),
            ):
                tensor.uniform_(low, high)
    return sam.requires_grad_(False)


def test_the_encoder_without_batch_norm_gives_the_same_embedding(sam: Sam) -> None:
    image = torch.randn(1, 3, SIZE, SIZE)
    networks = Networks.of(sam)
    torch.testing.assert_close(networks.encoder(image), sam.encode(image), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in networks.encoder.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in sam.modules())  # its own stay


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("has_mask", [False, True])
def test_absent_tokens_count_for_nothing(sam: Sam, count: int, has_mask: bool) -> None:
    networks = Networks.of(sam)
    features = torch.randn(1, 256, 8, 8)
    coords, labels = torch.rand(2, count, 2) * SIZE, torch.tensor([1.0, -1, 2, 3, 0])[:count].expand(2, -1)
    mask = torch.randn(2, 1, 32, 32)
    expected = sam.decode(features, coords, labels, mask if has_mask else None)
    fill = networks.points - count
    filled = networks.decoder(
        features,
        torch.cat([coords, torch.rand(2, fill, 2) * SIZE], dim=1),
        torch.cat([labels, torch.full((2, fill), float(ABSENT))], dim=1),
        mask,
        torch.tensor([float(has_mask)]),
    )
    for found, wanted in zip(filled, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_example_inputs_are_the_contracts(sam: Sam) -> None:
    networks = Networks.of(sam, points=3)
    axes = sizes(SIZE, 1, 3)
    for part, inputs in (("encoder", networks.encoder_inputs()), ("decoder", networks.decoder_inputs())):
        assert [list(tensor.shape) for tensor in inputs] == [t.shape(axes) for t in CONTRACT[part].inputs]
        network = getattr(networks, part)
        outputs = network(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        assert [list(tensor.shape) for tensor in outputs] == [t.shape(axes) for t in CONTRACT[part].outputs]


def test_rescaling_changes_nothing_that_comes_out() -> None:
    torch.manual_seed(0)
    conv, norm = torch.nn.Conv2d(3, 8, 3), LayerNorm2d(8)
    image = torch.randn(1, 3, 9, 9) * 1e-3  # so small that the norm's eps counts
    before, inside = norm(conv(image)), conv(image)
    rescale(conv, norm, 64)
    assert torch.equal(conv(image), 64 * inside)
    assert torch.equal(norm(conv(image)), before)


def test_half_precision_holds_what_a_norm_squares() -> None:
    """Core ML, GPUs and ARM compute in it: squares may not reach 65504, nor variances what is taken for zero."""
    networks = Networks.of(load_sam("pytorch").predictor.backend.sam)
    seen: list[tuple[float, float]] = []

    def look(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], __: torch.Tensor) -> None:
        squares = (inputs[0] - inputs[0].mean(1, keepdim=True)).square()
        seen.append((float(squares.max()), float(squares.mean(1).min())))

    for part in (networks.encoder, networks.decoder):
        for module in part.modules():
            if isinstance(module, LayerNorm2d):
                module.register_forward_hook(look)
    photo = to_rgb(COFFEE)
    image = torch.from_numpy(to_tensor(photo, Letterbox(photo.shape[:2])))
    with torch.inference_mode():
        networks.decoder(networks.encoder(image), *networks.decoder_inputs()[1:])
    assert len(seen) == 5
    assert max(largest for largest, _ in seen) < 65504 / 16
    assert min(smallest for _, smallest in seen) > 6e-5
