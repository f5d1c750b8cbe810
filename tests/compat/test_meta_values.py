"""The same weights and inputs in, the same numbers out, for every public callable of Meta's interface.

On small models, whose every layer is drawn at random; the full sizes are in test_meta_models.py.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import reference
import torch
from torch import Tensor, nn

PACKAGE = "mobile_sam"
"""Meta's own 1.0 on PyPI differs from its repository in two bugs (clients.md); MobileSAM's has them mended."""
EMBEDDING, LOGITS = 1e-4, 1e-3
"""Largest differences allowed, as shares of the reference's spread."""


def both(module: str, name: str) -> tuple[Any, Any]:
    theirs = reference.load(PACKAGE, module)
    ours = importlib.import_module(f"mobilesam.compat.{PACKAGE}.{module}")
    return getattr(theirs, name), getattr(ours, name)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(found: Any, expected: Any, share: float = 1e-5) -> None:
    found, expected = (np.asarray(x.detach() if isinstance(x, Tensor) else x) for x in (found, expected))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    spread = max(float(np.sqrt(np.square(expected, dtype=np.float64).mean())), 1e-12) if expected.size else 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * spread)


def twins(module: str, name: str, *args: Any, **kwargs: Any) -> tuple[nn.Module, nn.Module]:
    """A module of theirs with random weights, and ours with the same."""
    theirs, ours = (cls(*args, **kwargs) for cls in both(module, name))
    reference.randomise(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return theirs.eval(), ours.eval()


MODULES = {
    "modeling.common.MLPBlock": ((24, 48), {"act": nn.ReLU}, [(2, 5, 24)]),
    "modeling.common.LayerNorm2d": ((24, 1e-3), {}, [(2, 24, 4, 5)]),
    "modeling.transformer.Attention": ((32, 4, 2), {}, [(2, 3, 32), (2, 20, 32), (2, 20, 32)]),
    "modeling.transformer.TwoWayAttentionBlock": (
        (32, 4, 40, nn.GELU, 4, True), {}, [(2, 3, 32), (2, 20, 32), (2, 3, 32), (2, 20, 32)],
    ),
    "modeling.transformer.TwoWayTransformer": (
        (3, 32, 4, 40), {"attention_downsample_rate": 4}, [(2, 32, 4, 5), (2, 32, 4, 5), (2, 7, 32)],
    ),
    "modeling.mask_decoder.MLP": ((8, 16, 4, 3, True), {}, [(2, 8)]),
    "modeling.image_encoder.PatchEmbed": (((8, 8), (8, 8), (1, 1), 2, 24), {}, [(2, 2, 30, 22)]),
    "modeling.image_encoder.Attention": ((24, 3), {"use_rel_pos": True, "input_size": (5, 4)}, [(2, 5, 4, 24)]),
    "modeling.image_encoder.Block": (
        (24, 3, 2.0, False, nn.LayerNorm, nn.ReLU, True, True, 3, (5, 4)), {}, [(2, 5, 4, 24)],
    ),
    "modeling.image_encoder.ImageEncoderViT": (
        (96, 16, 3, 24, 3, 2), {"use_rel_pos": True, "window_size": 4, "global_attn_indexes": (1,)}, [(2, 3, 96, 96)],
    ),
    "modeling.tiny_vit_sam.LayerNorm2d": ((24,), {}, [(2, 24, 4, 5)]),
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES)
def test_modules(path: str) -> None:
    args, kwargs, shapes = MODULES[path]
    theirs, ours = twins(*path.rsplit(".", 1), *args, **kwargs)
    inputs = [drawn(*shape, seed=i) for i, shape in enumerate(shapes)]
    with torch.no_grad():
        expected, found = theirs(*inputs), ours(*inputs)
    for a, b in zip(found if isinstance(found, tuple) else [found], expected if isinstance(expected, tuple)
                    else [expected], strict=True):  # fmt: skip
        close(a, b)


def test_a_vit_without_positions_and_on_another_size() -> None:
    """No tables at all; and tables made for one size, stretched to another (get_rel_pos)."""
    theirs, ours = twins("modeling.image_encoder", "ImageEncoderViT", 64, 16, 3, 24, 2, 2, use_abs_pos=False)
    close(ours(drawn(1, 3, 48, 80)), theirs(drawn(1, 3, 48, 80)))
    theirs, ours = twins("modeling.image_encoder", "Attention", 24, 3, use_rel_pos=True, input_size=(8, 8))
    close(ours(drawn(1, 5, 6, 24)), theirs(drawn(1, 5, 6, 24)))


@pytest.mark.parametrize("hw", [(5, 4), (6, 6), (3, 7)])
def test_windows(hw: tuple[int, int]) -> None:
    (part, cut), (unpart, join) = (both("modeling.image_encoder", f"window_{x}") for x in ("partition", "unpartition"))
    grid = drawn(2, *hw, 8)
    (expected, padded), (found, ours_padded) = part(grid, 3), cut(grid, 3)
    assert ours_padded == padded
    close(found, expected)
    close(join(expected, 3, padded, hw), unpart(expected, 3, padded, hw))


@pytest.mark.parametrize(("q", "k", "length"), [(4, 4, 7), (4, 4, 11), (4, 8, 15), (8, 4, 15), (3, 7, 9)])
def test_relative_positions(q: int, k: int, length: int) -> None:
    theirs, ours = both("modeling.image_encoder", "get_rel_pos")
    close(ours(q, k, drawn(length, 6)), theirs(q, k, drawn(length, 6)))
    theirs, ours = both("modeling.image_encoder", "add_decomposed_rel_pos")
    inputs = drawn(2, q * 3, k * 2), drawn(2, q * 3, 6), drawn(length, 6), drawn(5, 6), (q, 3), (k, 2)
    close(ours(*inputs), theirs(*inputs))


@pytest.fixture(scope="module")
def sams() -> tuple[Any, Any]:
    theirs, ours = reference.tiny(PACKAGE), reference.tiny(f"mobilesam.compat.{PACKAGE}")
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


PROMPTS: dict[str, dict[str, Any]] = {
    "nothing": {"points": None, "boxes": None, "masks": None},
    "points": {
        "points": (torch.tensor([[[3.0, 9], [40, 2]], [[0, 0], [63, 63]]]), torch.tensor([[1, 0], [1, -1]])),
        "boxes": None,
        "masks": None,
    },
    "boxes": {"points": None, "boxes": torch.tensor([[1.0, 2, 30, 40], [5, 5, 60, 60]]), "masks": None},
    "all": {
        "points": (torch.tensor([[[3, 9]], [[1, 2]]], dtype=torch.float64), torch.tensor([[1], [0]])),
        "boxes": torch.tensor([[1.0, 2, 30, 40], [5, 5, 60, 60]]),
        "masks": drawn(2, 1, 16, 16),
    },
    "masks": {"points": None, "boxes": None, "masks": drawn(3, 1, 16, 16)},
    "labels 2 and 3, which Meta's encoder doesn't know": {
        "points": (torch.tensor([[[3.0, 9], [40, 2]]]), torch.tensor([[2, 3]])), "boxes": None, "masks": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PROMPTS)
def test_prompt_encoder_and_mask_decoder(sams, name: str) -> None:
    theirs, ours = sams
    with torch.no_grad():
        expected, found = theirs.prompt_encoder(**PROMPTS[name]), ours.prompt_encoder(**PROMPTS[name])
        close(ours.prompt_encoder.get_dense_pe(), theirs.prompt_encoder.get_dense_pe())
        for a, b in zip(found, expected, strict=True):
            close(a, b)
        decode = {
            "image_embeddings": drawn(1, 32, 4, 4),
            "image_pe": theirs.prompt_encoder.get_dense_pe(),
            "sparse_prompt_embeddings": expected[0],
            "dense_prompt_embeddings": expected[1],
        }
        answers = [(sam.mask_decoder.predict_masks(**decode)) for sam in (theirs, ours)]
        answers += [sam.mask_decoder(**decode, multimask_output=m) for m in (True, False) for sam in (theirs, ours)]
    for expected_pair, found_pair in zip(answers[::2], answers[1::2], strict=True):
        for a, b in zip(found_pair, expected_pair, strict=True):
            close(a, b, LOGITS)


def test_gradients_of_the_decoder(sams) -> None:
    gradients = []
    for sam in sams:
        sam.zero_grad()
        embedding = drawn(1, 32, 4, 4).requires_grad_()
        sparse, dense = sam.prompt_encoder(**PROMPTS["all"])
        masks, iou = sam.mask_decoder(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense, True)
        (masks.square().mean() + iou.square().sum()).backward()
        named = {k: p.grad for k, p in sam.named_parameters() if p.grad is not None}
        gradients.append({**named, "embedding": embedding.grad})
    expected, found = gradients
    assert found.keys() == expected.keys()
    assert len(found) > 100
    scale = max(float(g.abs().max()) for g in expected.values())
    for key, gradient in expected.items():
        # A key's bias cancels out of the softmax: its gradient is rounding, on both sides.
        spread = scale if key.endswith("k_proj.bias") else max(float(gradient.abs().max()), 1e-6)
        torch.testing.assert_close(found[key], gradient, rtol=0, atol=LOGITS * spread, msg=key)


@pytest.mark.parametrize("scale", [None, 2.0, -1.0])
def test_position_embedding(scale: float | None) -> None:
    layers = []
    for cls in both("modeling.prompt_encoder", "PositionEmbeddingRandom"):
        torch.manual_seed(0)
        layers.append(cls(8, scale))
    theirs, ours = layers
    close(ours((3, 5)), theirs((3, 5)))
    coords = torch.tensor([[[3.0, 9], [40, 2]]])
    close(ours.forward_with_coords(coords, (48, 64)), theirs.forward_with_coords(coords, (48, 64)))


def test_sam_from_photos_to_masks(sams) -> None:
    records = [
        {
            "image": torch.randint(0, 255, (3, 40, 64), generator=torch.Generator().manual_seed(1)),
            "original_size": (80, 128),
            "point_coords": torch.tensor([[[3.0, 9]], [[20, 20]]]),
            "point_labels": torch.tensor([[1], [1]]),
        },
        {
            "image": torch.randint(0, 255, (3, 64, 30), generator=torch.Generator().manual_seed(2)),
            "original_size": (70, 33),
            "boxes": torch.tensor([[1.0, 2, 30, 40]]),
            "mask_inputs": drawn(1, 1, 16, 16),
        },
    ]
    for multimask in (True, False):
        expected, found = (sam(records, multimask_output=multimask) for sam in sams)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.keys() == theirs.keys()
            close(ours["low_res_logits"], theirs["low_res_logits"], LOGITS)
            close(ours["iou_predictions"], theirs["iou_predictions"], LOGITS)
            assert (ours["masks"] == theirs["masks"]).float().mean() > 0.999
    theirs, ours = sams
    close(ours.preprocess(records[0]["image"]), theirs.preprocess(records[0]["image"]))
    low = drawn(2, 3, 16, 16)
    close(ours.postprocess_masks(low, (40, 64), (80, 128)), theirs.postprocess_masks(low, (40, 64), (80, 128)))
    assert ours.device == theirs.device == torch.device("cpu")


ONNX_OPTIONS = [(True, False, False), (False, True, True), (True, True, True), (False, False, False)]


@pytest.mark.parametrize("options", ONNX_OPTIONS)
@pytest.mark.parametrize("points", [1, 2, 3, 4])
def test_onnx_model(sams, options: tuple[bool, bool, bool], points: int) -> None:
    coords = drawn(1, points, 2) * 20 + 30
    labels = torch.tensor([[1.0, -1, 2, 3][:points]])
    theirs, ours = (cls(sam, *options) for cls, sam in zip(both("utils.onnx", "SamOnnxModel"), sams, strict=True))
    for has_mask, hw in ((0.0, (90.0, 60.0)), (1.0, (33.0, 64.0)), (-1.0, (50.0, 50.0))):
        inputs = (drawn(1, 32, 4, 4), coords, labels, drawn(1, 1, 16, 16), torch.tensor([has_mask]), torch.tensor(hw))
        for a, b in zip(ours(*inputs), theirs(*inputs), strict=True):
            close(a, b, LOGITS)
    size = torch.tensor([90.0, 61.0])
    close(ours.resize_longest_image_size(size, 64), theirs.resize_longest_image_size(size, 64))
    masks, iou = drawn(2, 4, 16, 16), drawn(2, 4)
    close(ours.mask_postprocessing(masks, size), theirs.mask_postprocessing(masks, size))
    for a, b in zip(ours.select_masks(masks, iou, points), theirs.select_masks(masks, iou, points), strict=True):
        close(a, b)


def test_their_onnx_model_runs_on_our_sam(sams) -> None:
    """Label Studio and others bring their own segment_anything's SamOnnxModel."""
    theirs, ours = sams
    wrapper, _ = both("utils.onnx", "SamOnnxModel")
    inputs = (
        drawn(1, 32, 4, 4), torch.tensor([[[9.0, 30]]]), torch.tensor([[1.0]]),
        drawn(1, 1, 16, 16), torch.ones(1), torch.tensor([90.0, 60.0]),
    )  # fmt: skip
    for a, b in zip(wrapper(ours, True)(*inputs), wrapper(theirs, True)(*inputs), strict=True):
        close(a, b, LOGITS)


@pytest.mark.parametrize("hw", [(400, 600), (600, 400), (501, 1000), (33, 70), (1024, 1024), (64, 64)])
def test_resize_longest_side(hw: tuple[int, int]) -> None:
    theirs, ours = (cls(64) for cls in both("utils.transforms", "ResizeLongestSide"))
    random = np.random.default_rng(0)
    photo = random.integers(0, 255, (*hw, 3), np.uint8)
    np.testing.assert_array_equal(ours.apply_image(photo), theirs.apply_image(photo))
    points, boxes = random.integers(0, 30, (5, 2)), random.uniform(0, 30, (5, 4))
    close(ours.apply_coords(points, hw), theirs.apply_coords(points, hw), 1e-12)
    close(ours.apply_boxes(boxes, hw), theirs.apply_boxes(boxes, hw), 1e-12)
    photos = torch.rand(2, 3, *hw)
    close(ours.apply_image_torch(photos), theirs.apply_image_torch(photos))
    close(ours.apply_coords_torch(torch.tensor(points), hw), theirs.apply_coords_torch(torch.tensor(points), hw))
    close(ours.apply_boxes_torch(torch.tensor(boxes), hw), theirs.apply_boxes_torch(torch.tensor(boxes), hw))
    assert ours.get_preprocess_shape(*hw, 1024) == theirs.get_preprocess_shape(*hw, 1024)


@pytest.mark.parametrize("name", ["tiny_vit_5m_224", "tiny_vit_11m_224", "tiny_vit_21m_224", "tiny_vit_21m_384",
                                  "tiny_vit_21m_512"])  # fmt: skip
def test_tiny_vits(name: str) -> None:
    """Upstream's own needs 1024 pixels to run: here the keys, shapes and learning rates; values in test_meta_models."""
    for cls in both("modeling.tiny_vit_sam", name):
        model = cls()
        facts = {k: (tuple(p.shape), round(p.lr_scale, 9), p.param_name) for k, p in model.named_parameters()
                 if hasattr(p, "lr_scale")}  # fmt: skip
        if cls.__module__.startswith("mobile_sam"):
            expected, keys = facts, list(model.state_dict())
    assert list(model.state_dict()) == keys
    assert facts == expected
    assert model.no_weight_decay_keywords() == {"attention_biases"}
