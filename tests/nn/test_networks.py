from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import COFFEE, load_sam
from mobilesam.catalog.models import ARCHS
from mobilesam.export.graphs import weightless
from mobilesam.nn.mask_decoder import MaskDecoder
from mobilesam.nn.prompt_encoder import PositionEmbeddingRandom, PromptEncoder
from mobilesam.nn.sam import Sam, build_sam
from mobilesam.nn.tiny_vit import TinyVit, TinyVitBlock, offset_index
from mobilesam.nn.transformer import Attention, ImageToTokenAttention, TokenToImageAttention


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(0)
    return build_sam()


def test_parameters_are_the_papers(sam: Sam) -> None:
    """The paper counts 5.78M for the encoder (without the ImageNet head) and 3.876M for the decoder."""
    unused = ("norm_head.", "head.")
    encoder = sum(p.numel() for k, p in sam.image_encoder.named_parameters() if not k.startswith(unused))
    decoder = sum(p.numel() for p in sam.mask_decoder.parameters())
    neck = sum(p.numel() for p in sam.image_encoder.neck.parameters())
    assert encoder == pytest.approx(5.78e6 + 0.3e6, rel=0.01) or encoder - neck == pytest.approx(5.06e6, rel=0.03)
    assert decoder + sum(p.numel() for p in sam.prompt_encoder.parameters()) == pytest.approx(4.06e6, rel=0.05)


@pytest.mark.parametrize("arch", ARCHS)
def test_the_key_table_is_the_networks_own(arch: str) -> None:
    assert {k: tuple(v.shape) for k, v in weightless(arch).state_dict().items()} == ARCHS[arch].shapes


@pytest.mark.parametrize("hw", [(64, 64), (96, 160), (224, 32), (448, 448)])
def test_any_multiple_of_32(sam: Sam, hw: tuple[int, int]) -> None:
    with torch.inference_mode():
        out = sam.encode(torch.zeros(1, 3, *hw))
    assert out.shape == (1, 256, hw[0] // 16, hw[1] // 16)
    assert torch.isfinite(out).all()


def test_height_and_width_are_not_mixed_up(sam: Sam) -> None:
    """The transposed photo through transposed kernels gives the transposed embedding."""
    flipped = TinyVit().eval()
    state = sam.image_encoder.state_dict()
    kernels = {k: v.transpose(-1, -2) if v.ndim == 4 else v for k, v in state.items()}
    for key, value in state.items():
        if key.endswith("attention_biases"):  # (heads, |dy| * window + |dx|)
            side = round(value.shape[1] ** 0.5)
            kernels[key] = value.reshape(-1, side, side).transpose(1, 2).reshape(value.shape)
    flipped.load_state_dict(kernels)
    photo = torch.randn(1, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        straight, turned = sam.encode(photo), flipped(photo.transpose(2, 3))
    torch.testing.assert_close(turned.transpose(2, 3), straight, atol=1e-4, rtol=1e-4)


def test_photos_of_a_batch_do_not_mix(sam: Sam) -> None:
    photos = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = sam.encode(photos)
        torch.testing.assert_close(together[1:], sam.encode(photos[1:]), atol=1e-5, rtol=1e-5)


def test_weights_loaded_after_eval_count_at_once(sam: Sam) -> None:
    """Upstream caches the attention bias in .eval() and keeps the old one."""
    fresh = TinyVit().eval()
    with torch.inference_mode():
        fresh(torch.zeros(1, 3, 64, 64))
    fresh.load_state_dict(sam.image_encoder.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(fresh(torch.ones(1, 3, 64, 64)), sam.encode(torch.ones(1, 3, 64, 64)))


def test_offsets_by_hand() -> None:
    index = offset_index(3)
    assert index[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert index[4].tolist() == [4, 3, 4, 1, 0, 1, 4, 3, 4]
    assert torch.equal(index, index.T)


def test_a_window_that_fits_exactly_is_one_attention() -> None:
    torch.manual_seed(0)
    block = TinyVitBlock(32, 2, 7).eval()
    x_bnc = torch.randn(2, 49, 32)
    with torch.inference_mode():
        torch.testing.assert_close(block._attend(x_bnc, 7, 7), block.attn(x_bnc))


def with_its_plain_twin(kind: type[Attention]) -> tuple[Attention, Attention]:
    torch.manual_seed(0)
    regrouped, plain = (made(32, heads=4, downsample=2).eval() for made in (kind, Attention))
    plain.load_state_dict(regrouped.state_dict())
    return regrouped, plain


def test_regrouped_attention_is_the_plain_one() -> None:
    regrouped, plain = with_its_plain_twin(TokenToImageAttention)
    tokens, keys, values = torch.randn(3, 5, 32), torch.randn(3, 40, 32), torch.randn(3, 40, 32)
    with torch.inference_mode():
        torch.testing.assert_close(regrouped(tokens, keys, values), plain(tokens, keys, values))
        shared = regrouped(tokens, keys[:1], values[:1])
        torch.testing.assert_close(shared[2:], plain(tokens[2:], keys[:1], values[:1]))


def test_attention_regrouped_for_the_image_is_the_plain_one() -> None:
    regrouped, plain = with_its_plain_twin(ImageToTokenAttention)
    image, tokens, values = torch.randn(3, 40, 32), torch.randn(3, 5, 32), torch.randn(3, 5, 32)
    with torch.inference_mode():
        torch.testing.assert_close(regrouped(image, tokens, values), plain(image, tokens, values))
        shared = regrouped(image[:1], tokens, values)
        torch.testing.assert_close(shared[2:], plain(image[:1], tokens[2:], values[2:]))


def test_upscaling_by_rows_is_the_transposed_convolutions() -> None:
    torch.manual_seed(0)
    decoder = MaskDecoder(dim=32).eval()
    image, kernels = torch.randn(2, 3 * 5, 32), torch.randn(2, 4, 4)
    with torch.inference_mode():
        upscaled = decoder.output_upscaling(image.transpose(1, 2).reshape(2, 32, 3, 5))
        expected = (kernels.transpose(1, 2) @ upscaled.flatten(2)).reshape(2, 4, 12, 20)
        torch.testing.assert_close(decoder._masks(image, kernels, 3, 5), expected, atol=1e-5, rtol=1e-5)


def test_position_features_of_a_grid_are_those_of_its_cells_centres() -> None:
    torch.manual_seed(0)
    layer = PositionEmbeddingRandom(16)
    grid = layer.grid(4, 8)
    assert grid.shape == (4 * 8, 16)
    torch.testing.assert_close(grid[8 + 2], layer(torch.tensor([2.5 / 8, 1.5 / 8])), atol=1e-5, rtol=1e-5)


def test_position_features_are_sine_and_cosine_of_random_frequencies() -> None:
    torch.manual_seed(0)
    layer = PositionEmbeddingRandom(16)
    angles = 2 * torch.pi * ((2 * torch.tensor([0.3, 0.9]) - 1) @ layer.positional_encoding_gaussian_matrix)
    expected = torch.cat([angles.sin(), angles.cos()])
    torch.testing.assert_close(layer(torch.tensor([0.3, 0.9])), expected, atol=1e-5, rtol=1e-5)


def test_padding_has_no_position_and_labels_have_their_own_embedding() -> None:
    torch.manual_seed(0)
    encoder = PromptEncoder(dim=8)
    coords = torch.tensor([[[10.0, 20.0], [500.0, 900.0], [3.0, 3.0], [3.0, 3.0]]])
    tokens = encoder.sparse(coords, torch.tensor([[-1.0, -1.0, 0.0, 1.0]]))[0]
    torch.testing.assert_close(tokens[0], encoder.not_a_point_embed.weight[0])
    torch.testing.assert_close(tokens[1], tokens[0])
    difference = encoder.point_embeddings[1].weight[0] - encoder.point_embeddings[0].weight[0]
    torch.testing.assert_close(tokens[3] - tokens[2], difference)


def test_gradients_reach_every_weight_that_counts(sam: Sam) -> None:
    """Training stands on this: no detached branch, in encoder, prompt encoder and decoder."""
    model = build_sam()
    features = model.encode(torch.randn(1, 3, 1024, 1024))
    labels = torch.tensor([[1.0, 0.0, -1.0], [2.0, 3.0, 1.0]])
    masked = model.decode(features, torch.rand(2, 3, 2) * 1024, labels, torch.randn(2, 1, 256, 256))
    plain = model.decode(features, torch.rand(2, 3, 2) * 1024, labels)
    sum(t.square().mean() for t in (*masked, *plain)).backward()
    silent = {k for k, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # A constant added to all keys doesn't change a softmax: no gradient but rounding reaches that bias.
    assert {k for k in silent if not k.endswith("k_proj.bias")} == {
        f"image_encoder.{k}" for k in ("norm_head.weight", "norm_head.bias", "head.weight", "head.bias")
    }


def test_the_batch_of_one_stands_for_all_prompts() -> None:
    """Without masks the image side has a batch of 1; written out for each prompt it gives the same."""
    backend = load_sam("pytorch").predictor.backend
    model: Sam = backend.sam
    features = torch.from_numpy(load_sam("pytorch").embed(COFFEE).features_bchw)
    coords, labels = torch.tensor([[[500.0, 300.0]], [[200.0, 200.0]]]), torch.ones(2, 1)
    with torch.inference_mode():
        shared = model.decode(features, coords, labels)[0]
        apart = torch.cat([model.decode(features, coords[i : i + 1], labels[i : i + 1])[0] for i in range(2)])
    np.testing.assert_allclose(shared.numpy(), apart.numpy(), atol=2e-3)
