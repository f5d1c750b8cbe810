"""The builders: a model with random weights, or with those of a checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from torch import nn

from ...backends.checkpoint import Checkpoint
from ...catalog import locate
from ...nn.checkpoint import load_state
from ...nn.vit import VIT_B, VIT_H, VIT_L, VitConfig
from .modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TinyViT, TwoWayTransformer
from .modeling.tiny_vit_sam import WIDTHS_5M

IMG_SIZE, PATCH, DIM = 1024, 16, 256
Builder = Callable[..., Sam]


def build_sam_vit_h(checkpoint: str | Path | None = None) -> Sam:
    """SAM with a ViT-H, in evaluation mode; `checkpoint` is a weights file or a name of the catalog.

    A file of another architecture gives that architecture and a warning: some programs choose the builder by
    the file's name. Raises WeightsNotFoundError (a FileNotFoundError), CheckpointError.
    """
    return _build("sam_vit_h", checkpoint)


def build_sam_vit_l(checkpoint: str | Path | None = None) -> Sam:
    """SAM with a ViT-L; see `build_sam_vit_h`."""
    return _build("sam_vit_l", checkpoint)


def build_sam_vit_b(checkpoint: str | Path | None = None) -> Sam:
    """SAM with a ViT-B; see `build_sam_vit_h`."""
    return _build("sam_vit_b", checkpoint)


def build_sam_vit_t(checkpoint: str | Path | None = None) -> Sam:
    """MobileSAM: SAM with a TinyViT; see `build_sam_vit_h`.

    >>> sam = build_sam_vit_t("mobilesam")  # the bundled weights
    >>> sam.image_encoder.img_size, sam.training
    (1024, False)
    """
    return _build("mobile_sam", checkpoint)


build_sam = build_sam_vit_h


class _Registry(dict[str, Builder]):
    """Meta's keys; "vit_t" is found too, but not listed: programs go through the keys and know three files."""

    def __missing__(self, key: str) -> Builder:
        if key == "vit_t":
            return build_sam_vit_t
        raise KeyError(key)


sam_model_registry: dict[str, Builder] = _Registry(
    default=build_sam, vit_h=build_sam, vit_l=build_sam_vit_l, vit_b=build_sam_vit_b
)


def _vit(config: VitConfig) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=IMG_SIZE,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.heads,
        norm_layer=_norm,  # type: ignore[arg-type]  # a maker of layers, as Meta's own partial is
        use_rel_pos=True,
        window_size=config.window,
        global_attn_indexes=config.global_blocks,
    )


def _norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, eps=1e-6)


ENCODERS: dict[str, Callable[[], ImageEncoderViT | TinyViT]] = {
    "mobile_sam": lambda: TinyViT(img_size=IMG_SIZE, drop_path_rate=0.0, layer_lr_decay=0.8, **WIDTHS_5M),
    "sam_vit_b": lambda: _vit(VIT_B),
    "sam_vit_l": lambda: _vit(VIT_L),
    "sam_vit_h": lambda: _vit(VIT_H),
}
"""Architecture, as the catalog names it -> its image encoder."""


def _build(arch: str, checkpoint: str | Path | None) -> Sam:
    if checkpoint is None:
        return _assemble(arch).eval()
    found = Checkpoint(locate(checkpoint))
    if found.arch.name != arch:
        warnings.warn(f"{checkpoint} is a {found.arch.name}, not a {arch}: building what it is.", stacklevel=3)
    sam = _assemble(found.arch.name)
    load_state(sam, found.state())
    return sam.eval()


def _assemble(arch: str) -> Sam:
    side = IMG_SIZE // PATCH
    return Sam(
        image_encoder=ENCODERS[arch](),
        prompt_encoder=PromptEncoder(DIM, (side, side), (IMG_SIZE, IMG_SIZE), mask_in_chans=16),
        mask_decoder=MaskDecoder(transformer_dim=DIM, transformer=TwoWayTransformer(2, DIM, 8, 2048)),
    )
