"""MobileSAM's image encoder under its authors' names, with all their options.

Between layers upstream passes tokens (B, H*W, C), as is done here; `mobilesam.nn.tiny_vit` is the same network with
maps, as runtimes like them. Weights loaded after `.eval()` count at once (upstream caches the attention's biases
there, and silently keeps the old ones), and `img_size` may be any multiple of 32 (upstream runs with 1024 alone).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ....errors import InputError
from ....nn.layers import neck
from .common import LayerNorm2d
from .tiny_vit_layers import (
    Attention,
    BasicLayer,
    Conv2d_BN,
    ConvLayer,
    DropPath,
    MBConv,
    Mlp,
    PatchEmbed,
    PatchMerging,
    TinyViTBlock,
    to_map,
)

__all__ = [
    "Attention",
    "BasicLayer",
    "Conv2d_BN",
    "ConvLayer",
    "DropPath",
    "LayerNorm2d",
    "MBConv",
    "Mlp",
    "PatchEmbed",
    "PatchMerging",
    "TinyViT",
    "TinyViTBlock",
    "register_tiny_vit_model",
    "tiny_vit_5m_224",
    "tiny_vit_11m_224",
    "tiny_vit_21m_224",
    "tiny_vit_21m_384",
    "tiny_vit_21m_512",
]


class TinyViT(nn.Module):
    """Photo (B, 3, S, S), normalised -> embedding (B, 256, S/16, S/16); S is `img_size`, a multiple of 32."""

    def __init__(
        self,
        img_size=224,
        in_chans=3,
        num_classes=1000,
        embed_dims=[96, 192, 384, 768],
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_sizes=[7, 7, 14, 7],
        mlp_ratio=4.0,
        drop_rate=0.0,
        drop_path_rate=0.1,
        use_checkpoint=False,
        mbconv_expand_ratio=4.0,
        local_conv_size=3,
        layer_lr_decay=1.0,
    ):
        super().__init__()
        self.img_size, self.num_classes, self.depths = img_size, num_classes, depths
        self.num_layers, self.mlp_ratio = len(depths), mlp_ratio
        self.patch_embed = PatchEmbed(in_chans, embed_dims[0], img_size, nn.GELU)
        self.patches_resolution = self.patch_embed.patches_resolution
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device="cpu").tolist())
        self.layers = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(embed_dims, depths, strict=True)):
            shared = {
                "dim": dim,
                "input_resolution": _resolution(self.patches_resolution, i),
                "depth": depth,
                "drop_path": [next(rates) for _ in range(depth)],
                "downsample": PatchMerging if i < self.num_layers - 1 else None,
                "use_checkpoint": use_checkpoint,
                "out_dim": embed_dims[min(i + 1, self.num_layers - 1)],
                "activation": nn.GELU,
            }
            if i == 0:
                self.layers.append(ConvLayer(conv_expand_ratio=mbconv_expand_ratio, **shared))
                continue
            own = {"num_heads": num_heads[i], "window_size": window_sizes[i], "mlp_ratio": mlp_ratio}
            self.layers.append(BasicLayer(drop=drop_rate, local_conv_size=local_conv_size, **own, **shared))
        self.norm_head = nn.LayerNorm(embed_dims[-1])
        self.head = nn.Linear(embed_dims[-1], num_classes) if num_classes > 0 else nn.Identity()
        self.apply(self._init_weights)
        self.set_layer_lr_decay(layer_lr_decay)
        self.neck = neck(embed_dims[-1], 256)

    def set_layer_lr_decay(self, layer_lr_decay):
        """Give each parameter its factor of the learning rate as `lr_scale`, smaller towards the photo."""
        total = sum(self.depths)
        scales = iter([layer_lr_decay ** (total - i - 1) for i in range(total)])
        _scale([self.patch_embed], layer_lr_decay ** (total - 1))
        scale = 1.0
        for layer in self.layers:
            for block in layer.blocks:
                scale = next(scales)
                _scale([block], scale)
            if layer.downsample is not None:
                _scale([layer.downsample], scale)
        _scale([self.norm_head, self.head], 1.0)
        for name, parameter in self.named_parameters():
            parameter.param_name = name

    def _init_weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)

    def no_weight_decay_keywords(self):
        """Fragments of the names of parameters that should not decay."""
        return {"attention_biases"}

    def forward_features(self, x):
        """The same as calling the encoder."""
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.neck(to_map(x, self.layers[-1].input_resolution))

    def forward(self, x):
        return self.forward_features(x)


def _resolution(patches_hw: tuple[int, int], stage: int) -> tuple[int, int]:
    """A stage's height and width: halved by each merging but the last."""
    halvings = min(stage, 2)
    return patches_hw[0] // 2**halvings, patches_hw[1] // 2**halvings


def _scale(modules: Iterable[nn.Module], scale: float) -> None:
    for module in modules:
        for parameter in module.parameters():
            parameter.lr_scale = scale  # type: ignore[attr-defined]  # optimisers' builders read it


def register_tiny_vit_model(fn):
    """A builder that takes `pretrained`, of one that takes nothing; `pretrained=True` is an InputError."""

    def build(pretrained=False, **kwargs):
        if pretrained:
            raise InputError(
                f"The ImageNet weights of {fn.__name__} aren't in the catalog: leave pretrained out and load a "
                "checkpoint of your own (upstream's download hands its weights over unchecked)."
            )
        return fn()

    build.__name__ = fn.__name__
    return build


def _builder(name: str, **arguments: Any) -> Callable[..., TinyViT]:
    def build() -> TinyViT:
        return TinyViT(**arguments)

    build.__name__ = name
    builder: Callable[..., TinyViT] = register_tiny_vit_model(build)
    return builder


WIDTHS_5M: dict[str, Any] = {"embed_dims": [64, 128, 160, 320], "num_heads": [2, 4, 5, 10]}
WIDTHS_11M: dict[str, Any] = {"embed_dims": [64, 128, 256, 448], "num_heads": [2, 4, 8, 14]}
WIDTHS_21M: dict[str, Any] = {"embed_dims": [96, 192, 384, 576], "num_heads": [3, 6, 12, 18]}
tiny_vit_5m_224 = _builder("tiny_vit_5m_224", drop_path_rate=0.0, **WIDTHS_5M)
tiny_vit_11m_224 = _builder("tiny_vit_11m_224", **WIDTHS_11M)
tiny_vit_21m_224 = _builder("tiny_vit_21m_224", drop_path_rate=0.2, **WIDTHS_21M)
tiny_vit_21m_384 = _builder("tiny_vit_21m_384", img_size=384, window_sizes=[12, 12, 24, 12], **WIDTHS_21M)
tiny_vit_21m_512 = _builder("tiny_vit_21m_512", img_size=512, window_sizes=[16, 16, 32, 16], **WIDTHS_21M)
