"""The packages that define Meta's interface, imported without torchvision and timm.

`segment-anything` and `mobilesam-mirror` need seven functions of the two, and torchvision has no build for the
torch that is tested here. So these are stood in for while the packages are imported, and taken away again.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

MODULES = (
    "build_sam",
    "predictor",
    "automatic_mask_generator",
    "modeling",
    "modeling.common",
    "modeling.image_encoder",
    "modeling.mask_decoder",
    "modeling.prompt_encoder",
    "modeling.sam",
    "modeling.transformer",
    "utils.amg",
    "utils.onnx",
    "utils.transforms",
)
"""Modules of both packages; mobile_sam has modeling.tiny_vit_sam besides."""


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """torchvision.transforms.functional.resize of a PIL image: Pillow's bilinear filter."""
    return image.resize(size[::-1], Image.Resampling.BILINEAR)


def to_pil_image(array: np.ndarray) -> Image.Image:
    """torchvision.transforms.functional.to_pil_image of (H, W, 3) uint8."""
    return Image.fromarray(array)


def box_area(boxes_n4: Tensor) -> Tensor:
    """torchvision.ops.boxes.box_area."""
    return (boxes_n4[:, 2] - boxes_n4[:, 0]) * (boxes_n4[:, 3] - boxes_n4[:, 1])


def batched_nms(boxes_n4: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """torchvision.ops.boxes.batched_nms where all boxes are of one category."""
    assert not idxs.any()
    areas, order, kept = box_area(boxes_n4), scores.argsort(descending=True, stable=True), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(boxes_n4[best, :2], boxes_n4[order, :2])
        high = torch.minimum(boxes_n4[best, 2:], boxes_n4[order, 2:])
        both = (high - low).clamp(min=0).prod(dim=1)
        order = order[both <= iou_threshold * (areas[best] + areas[order] - both)]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)


class DropPath(nn.Module):
    """timm's stochastic depth, in evaluation mode."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        return x


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


STAND_INS = {
    "torchvision": _module("torchvision"),
    "torchvision.ops": _module("torchvision.ops"),
    "torchvision.ops.boxes": _module("torchvision.ops.boxes", batched_nms=batched_nms, box_area=box_area),
    "torchvision.transforms": _module("torchvision.transforms"),
    "torchvision.transforms.functional": _module("functional", resize=resize, to_pil_image=to_pil_image),
    "timm": _module("timm"),
    "timm.models": _module("timm.models"),
    "timm.models.layers": _module(
        "timm.models.layers",
        DropPath=DropPath,
        to_2tuple=lambda x: (x, x),
        trunc_normal_=nn.init.trunc_normal_,
    ),
    "timm.models.registry": _module("timm.models.registry", register_model=lambda function: function),
}


@contextmanager
def _standing_in() -> Iterator[None]:
    assert not sys.modules.keys() & STAND_INS.keys()
    sys.modules.update(STAND_INS)
    try:
        yield
    finally:
        for name in STAND_INS:
            del sys.modules[name]


@cache
def load(package: str, module: str = "") -> ModuleType:
    """A module of a reference package, such as load("mobile_sam", "utils.amg")."""
    with _standing_in():
        return importlib.import_module(f"{package}.{module}".rstrip("."))


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Seeded weights for everything that is zero or one when it is new, so that nothing can be skipped unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if not value.is_floating_point() or name.startswith("pixel_"):
                continue
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.ndim == 1 and name.endswith("weight"):
                value.normal_(1, 0.1, generator=generator)
            elif value.ndim <= 1:
                value.normal_(0, 0.1, generator=generator)
            else:
                fan_in = value[0].numel() if value.ndim > 2 or "pos" not in name else 25
                value.normal_(0, max(fan_in, 4) ** -0.5, generator=generator)


def tiny(package: str, seed: int = 0) -> nn.Module:
    """A Sam of a package, small in every respect: photos of 64 pixels, a ViT of three blocks, eight heads of 4."""
    modeling = importlib.import_module(f"{package}.modeling") if "." in package else load(package, "modeling")
    torch.manual_seed(seed)
    sam = modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            img_size=64,
            embed_dim=24,
            depth=3,
            num_heads=2,
            out_chans=32,
            use_rel_pos=True,
            window_size=3,
            global_attn_indexes=[1],
        ),
        prompt_encoder=modeling.PromptEncoder(32, (4, 4), (64, 64), 8),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=32, transformer=modeling.TwoWayTransformer(2, 32, 4, 48), iou_head_hidden_dim=16
        ),
    )
    randomise(sam, seed)
    return sam.eval()
