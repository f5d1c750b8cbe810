"""MobileSAM's image encoder under its authors' names."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ....errors import InputError
from ....nn import tiny_vit
from .common import LayerNorm2d

__all__ = [
    "LayerNorm2d",
    "TinyViT",
    "tiny_vit_5m_224",
    "tiny_vit_11m_224",
    "tiny_vit_21m_224",
    "tiny_vit_21m_384",
    "tiny_vit_21m_512",
]

WIDTHS_5M: dict[str, Any] = {"embed_dims": [64, 128, 160, 320], "num_heads": [2, 4, 5, 10]}
WIDTHS_11M: dict[str, Any] = {"embed_dims": [64, 128, 256, 448], "num_heads": [2, 4, 8, 14]}
WIDTHS_21M: dict[str, Any] = {"embed_dims": [96, 192, 384, 576], "num_heads": [3, 6, 12, 18]}


class TinyViT(tiny_vit.TinyVit):
    """Photo (B, 3, S, S), normalised -> embedding (B, 256, S/16, S/16); any size in multiples of 32.

    Weights loaded after `.eval()` count at once (upstream caches the attention bias and keeps the old one).
    """

    def __init__(  # type: ignore[no-untyped-def]  # as upstream's
        self,
        img_size=224,
        in_chans=3,
        num_classes=1000,
        embed_dims=[96, 192, 384, 768],  # noqa: B006  # upstream's signature; never changed
        depths=[2, 2, 6, 2],  # noqa: B006  # as above
        num_heads=[3, 6, 12, 24],  # noqa: B006  # as above
        window_sizes=[7, 7, 14, 7],  # noqa: B006  # as above
        mlp_ratio=4.0,
        drop_rate=0.0,
        drop_path_rate=0.1,
        use_checkpoint=False,
        mbconv_expand_ratio=4.0,
        local_conv_size=3,
        layer_lr_decay=1.0,
    ) -> None:
        config = tiny_vit.TinyVitConfig(
            dims=tuple(embed_dims),
            depths=tuple(depths),
            heads=tuple(num_heads),
            windows=tuple(window_sizes),
            classes=num_classes,
            channels=in_chans,
            mlp_ratio=mlp_ratio,
            expand_ratio=mbconv_expand_ratio,
            local_conv=local_conv_size,
            dropout=drop_rate,
            drop_path=drop_path_rate,
            checkpoint=use_checkpoint,
        )
        super().__init__(config, img_size)
        self.num_classes = num_classes
        self.depths = depths
        self.num_layers = len(depths)
        self.mlp_ratio = mlp_ratio
        self.patches_resolution = (img_size // 4, img_size // 4)
        self.apply(self._init_weights)
        self.set_layer_lr_decay(layer_lr_decay)

    def set_layer_lr_decay(self, layer_lr_decay: float) -> None:
        """Give each parameter its factor of the learning rate as `lr_scale`, smaller towards the photo."""
        layers: list[Any] = list(self.layers)
        blocks = [list(layer.blocks) for layer in layers]
        total = sum(len(stage) for stage in blocks)
        scales = iter([layer_lr_decay ** (total - i - 1) for i in range(total)])
        _scale(self.patch_embed, layer_lr_decay ** (total - 1))
        scale = 1.0
        for layer, stage in zip(layers, blocks, strict=True):
            for block in stage:
                scale = next(scales)
                _scale(block, scale)
            if layer.downsample is not None:
                _scale(layer.downsample, scale)
        _scale(self.norm_head, 1.0)
        _scale(self.head, 1.0)
        for name, parameter in self.named_parameters():
            parameter.param_name = name  # type: ignore[attr-defined]  # optimisers' builders read it

    def _init_weights(self, m: nn.Module) -> None:
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)

    def no_weight_decay_keywords(self) -> set[str]:
        """Fragments of the names of parameters that should not decay."""
        return {"attention_biases"}

    def forward_features(self, x: Tensor) -> Tensor:
        """The same as calling the encoder."""
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x)


def _scale(module: nn.Module, scale: float) -> None:
    for parameter in module.parameters():
        parameter.lr_scale = scale  # type: ignore[attr-defined]  # optimisers' builders read it


def tiny_vit_5m_224(pretrained=False, **kwargs) -> TinyViT:  # type: ignore[no-untyped-def]  # noqa: ARG001  # as upstream's
    """TinyViT-5M for photos of 224 pixels; further arguments are ignored, as upstream's wrapper does."""
    return _build(pretrained, drop_path_rate=0.0, **WIDTHS_5M)


def tiny_vit_11m_224(pretrained=False, **kwargs) -> TinyViT:  # type: ignore[no-untyped-def]  # noqa: ARG001  # as upstream's
    """TinyViT-11M for photos of 224 pixels."""
    return _build(pretrained, **WIDTHS_11M)


def tiny_vit_21m_224(pretrained=False, **kwargs) -> TinyViT:  # type: ignore[no-untyped-def]  # noqa: ARG001  # as upstream's
    """TinyViT-21M for photos of 224 pixels."""
    return _build(pretrained, drop_path_rate=0.2, **WIDTHS_21M)


def tiny_vit_21m_384(pretrained=False, **kwargs) -> TinyViT:  # type: ignore[no-untyped-def]  # noqa: ARG001  # as upstream's
    """TinyViT-21M for photos of 384 pixels."""
    return _build(pretrained, img_size=384, window_sizes=[12, 12, 24, 12], **WIDTHS_21M)


def tiny_vit_21m_512(pretrained=False, **kwargs) -> TinyViT:  # type: ignore[no-untyped-def]  # noqa: ARG001  # as upstream's
    """TinyViT-21M for photos of 512 pixels."""
    return _build(pretrained, img_size=512, window_sizes=[16, 16, 32, 16], **WIDTHS_21M)


def _build(pretrained: bool, **kwargs: Any) -> TinyViT:
    if pretrained:
        raise InputError(
            "The ImageNet weights of TinyViT aren't in the catalog: build it without pretrained=True and load "
            "a checkpoint of your own (upstream's download hands its weights over unchecked)."
        )
    return TinyViT(**kwargs)
