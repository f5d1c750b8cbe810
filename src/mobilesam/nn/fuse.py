"""What makes an encoder quicker in PyTorch without changing what it computes; for inference only."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tiny_vit import ConvBn, WindowAttention


def quicken(encoder: nn.Module) -> nn.Module:
    """In place: BatchNorm folded, fused attention, weights that lie as convolutions on a map's channels read them."""
    fold_batch_norm(encoder)
    for module in encoder.modules():
        if isinstance(module, WindowAttention):
            module.__class__ = FusedWindowAttention
            cast(FusedWindowAttention, module).fix_bias()
    return encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # torch's stub


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Each BatchNorm, of which only its stored statistics count, put into the convolution before it; in place."""
    for module in network.modules():
        if isinstance(module, ConvBn):
            layer: Any = module.eval()
            layer.c = nn.utils.fuse_conv_bn_eval(layer.c, layer.bn)
            layer.bn = nn.Identity()
    return network


class FusedWindowAttention(WindowAttention):
    """The same attention as one operator, its bias looked up once."""

    bias_1hnn: Tensor

    def fix_bias(self) -> None:
        """Keep the bias as the weights are now."""
        bias = self.attention_biases.detach()[:, self.offsets_nn][None].contiguous()
        self.register_buffer("bias_1hnn", bias, persistent=False)

    def forward(self, x_wnc: Tensor) -> Tensor:
        """As the base class."""
        windows, cells, dim = x_wnc.shape
        qkv = self.qkv(self.norm(x_wnc)).reshape(windows, cells, self.heads, 3 * dim // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias_1hnn.to(q.dtype))
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(windows, cells, dim))
        return out
