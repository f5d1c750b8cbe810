"""TinyViT on a photo's own rows: what layers would read below them is what an endless blank has there.

A wide photo fills the upper part of the model's square, and a third of the encoder's work is on the blank rest. Cut
off naively, convolutions and windows would meet zeros instead of the blank's features, which changes the masks. So
each layer here takes two things: the map, and the vector that every cell has in an endless blank. That leaves out the
blank's own edges only (docs/decisions/0004-skipping-the-padding.md). An upright photo is a wide one turned over.

The vectors depend on the weights alone: runtimes compute them once, when they load the graph.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tiny_vit import ConvStage, TinyVit

Layer: TypeAlias = Any
"""A module of `tiny_vit`: to PyTorch's own types what it holds is a tensor or any module."""


class CutTinyVit(nn.Module):
    """Photo (1, 3, 16h, S), normalised -> the upper rows of its embedding (1, 256, g, S/16).

    g is h rounded up to whole windows of the third stage (14): all rows that share one with the photo are there.
    Has no weights but those of `image_encoder`.
    """

    def __init__(self, image_encoder: TinyVit) -> None:
        super().__init__()
        self.image_encoder = image_encoder

    def forward(self, image_bchw: Tensor) -> Tensor:
        """See the class."""
        encoder: Layer = self.image_encoder
        first, act, second = encoder.patch_embed.seq
        blank_c = _on_blank(second, act(_on_blank(first, image_bchw.new_zeros(3))))
        # Convolutions of stride 2 read no row below the last one of an even number.
        x_bchw = second(act(first(image_bchw)))
        for stage in encoder.layers:
            run = _bottlenecks if isinstance(stage, ConvStage) else _attentions
            x_bchw, blank_c = run(stage, x_bchw, blank_c)
            if stage.downsample is not None:
                x_bchw, blank_c = _merge(stage.downsample, x_bchw, blank_c)
        return _neck(encoder.neck, x_bchw, blank_c)


def _bottlenecks(stage: Layer, x_bchw: Tensor, blank_c: Tensor) -> tuple[Tensor, Tensor]:
    for block in stage.blocks:
        x_bchw, blank_c = _bottleneck(block, x_bchw, blank_c)
    return x_bchw, blank_c


def _bottleneck(block: Layer, x_bchw: Tensor, blank_c: Tensor) -> tuple[Tensor, Tensor]:
    # The row below goes through the first convolution with the others, whose output is four times wider.
    hidden = F.gelu(block.conv1(_with_row(x_bchw, blank_c)))
    hidden = F.gelu(_conv(block.conv2, hidden))
    blank = F.gelu(_on_blank(block.conv2, F.gelu(_on_blank(block.conv1, blank_c))))
    return F.gelu(block.conv3(hidden) + x_bchw), F.gelu(_on_blank(block.conv3, blank) + blank_c)


def _merge(merging: Layer, x_bchw: Tensor, blank_c: Tensor) -> tuple[Tensor, Tensor]:
    blank = F.gelu(_on_blank(merging.conv2, F.gelu(_on_blank(merging.conv1, blank_c))))
    blank = _on_blank(merging.conv3, blank)
    if merging.conv2.c.stride[0] == 2:
        return merging(x_bchw), blank
    hidden = F.gelu(merging.conv1(_with_row(x_bchw, blank_c)))
    return merging.conv3(F.gelu(_conv(merging.conv2, hidden))), blank


def _attentions(stage: Layer, x_bchw: Tensor, blank_c: Tensor) -> tuple[Tensor, Tensor]:
    x_bhwc = x_bchw.permute(0, 2, 3, 1)
    if stage.downsample is None or stage.downsample.conv2.c.stride[0] == 1:
        # From the embedding's resolution on, all rows that share a window with the photo: what the decoder then reads
        # below the photo is nearly true, for a tenth more time.
        _, height, width, _ = x_bhwc.shape
        x_bhwc = _with_rows(x_bhwc, blank_c, min(width, _up(height, stage.blocks[0].window)) - height)
    for block in stage.blocks:
        x_bhwc, blank_c = _block(block, x_bhwc, blank_c)
    return x_bhwc.permute(0, 3, 1, 2), blank_c


def _block(block: Layer, x_bhwc: Tensor, blank_c: Tensor) -> tuple[Tensor, Tensor]:
    shape = x_bhwc.shape
    x_bhwc = x_bhwc + _attention(block, x_bhwc, blank_c)
    blank_c = blank_c + _attention_on_blank(block, blank_c)
    # Rows are added while channels stand last: that appends to memory. Permuting four axes moves nothing (see TinyVit).
    extended_bchw = _with_rows(x_bhwc, blank_c, 1).permute(0, 3, 1, 2)
    x_bnc = _conv(block.local_conv, extended_bchw).permute(0, 2, 3, 1).flatten(1, 2)
    blank_c = _on_blank(block.local_conv, blank_c)
    return (x_bnc + block.mlp(x_bnc)).reshape(shape), blank_c + block.mlp(blank_c)


def _attention(block: Layer, x_bhwc: Tensor, blank_c: Tensor) -> Tensor:
    """Windows lie as in the whole square: blank rows fill the last ones; beyond the square zeros (as upstream)."""
    _, height, width, _ = x_bhwc.shape
    size = block.window
    filled = _with_rows(x_bhwc, blank_c, min(width, _up(height, size)) - height)
    pad_h, pad_w = (_up(side, size) - side for side in filled.shape[1:3])
    out: Tensor = block.attend_windows(F.pad(filled, (0, 0, 0, pad_w, 0, pad_h)))
    return out[:, :height, :width]


def _attention_on_blank(block: Layer, blank_c: Tensor) -> Tensor:
    """Among equal cells each gets the value itself."""
    attn = block.attn
    qkv = attn.qkv(attn.norm(blank_c)).reshape(attn.heads, -1)
    out: Tensor = attn.proj(qkv.chunk(3, dim=-1)[2].reshape(-1))
    return out


def _neck(layers: Layer, x_bchw: Tensor, blank_c: Tensor) -> Tensor:
    first, norm, second, last = layers
    blank_c = norm(F.linear(blank_c, first.weight[:, :, 0, 0])[None, :, None, None]).flatten()
    extended = _with_row(norm(first(x_bchw)), blank_c)
    out: Tensor = last(F.conv2d(_edged(extended), second.weight))
    return out


def _with_row(x_bchw: Tensor, blank_c: Tensor) -> Tensor:
    batch, channels, _, width = x_bchw.shape
    return torch.cat([x_bchw, blank_c[:, None, None].expand(batch, channels, 1, width)], 2)


def _with_rows(x_bhwc: Tensor, blank_c: Tensor, count: int) -> Tensor:
    batch, _, width, channels = x_bhwc.shape
    return torch.cat([x_bhwc, blank_c.expand(batch, count, width, channels)], 1) if count else x_bhwc


def _edged(x_bchw: Tensor) -> Tensor:
    """Zeros on three sides: a 3x3 convolution without padding then takes the last row as given and returns one less."""
    return F.pad(x_bchw, (1, 1, 1, 0))


def _conv(layer: Layer, extended_bchw: Tensor) -> Tensor:
    """A 3x3 convolution of stride 1 on a map that has one blank row below."""
    conv = layer.c
    out: Tensor = layer.bn(F.conv2d(_edged(extended_bchw), conv.weight, conv.bias, groups=conv.groups))
    return out


def _on_blank(layer: Layer, blank_c: Tensor) -> Tensor:
    """A convolution on a map that is the same vector everywhere."""
    conv = layer.c
    weight = conv.weight.sum((2, 3))
    mixed = blank_c * weight[:, 0] if conv.groups > 1 else F.linear(blank_c, weight)
    mixed = mixed if conv.bias is None else mixed + conv.bias
    out: Tensor = layer.bn(mixed[None, :, None, None]).flatten()
    return out


def _up(side: int, size: int) -> int:
    """The next multiple of `size`."""
    return -(-side // size) * size
