"""SAM's own image encoder, with all of Meta's options."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....nn import vit
from ....nn.layers import neck
from .common import MLPBlock

HW = tuple[int, int]


class ImageEncoderViT(nn.Module):
    """Photo (B, 3, S, S), normalised -> embedding (B, out_chans, S/16, S/16)."""

    def __init__(
        self,
        img_size: int = 1024,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        out_chans: int = 256,
        qkv_bias: bool = True,
        norm_layer: type[nn.Module] = nn.LayerNorm,
        act_layer: type[nn.Module] = nn.GELU,
        use_abs_pos: bool = True,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        window_size: int = 0,
        global_attn_indexes: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.img_size = img_size
        self.patch_embed = PatchEmbed((patch_size, patch_size), (patch_size, patch_size), (0, 0), in_chans, embed_dim)
        side = img_size // patch_size
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, embed_dim)) if use_abs_pos else None
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio,
                qkv_bias,
                norm_layer,
                act_layer,
                use_rel_pos,
                rel_pos_zero_init,
                window_size=0 if i in global_attn_indexes else window_size,
                input_size=(side, side),
            )
            for i in range(depth)
        )
        self.neck = neck(embed_dim, out_chans)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        if self.pos_embed is not None:
            x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return out


class Block(nn.Module):
    """Attention, within windows where `window_size` isn't 0, and an MLP: (B, H, W, C) -> the same."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        norm_layer: type[nn.Module] = nn.LayerNorm,
        act_layer: type[nn.Module] = nn.GELU,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        window_size: int = 0,
        input_size: HW | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        size = (window_size, window_size) if window_size else input_size
        self.attn = Attention(dim, num_heads, qkv_bias, use_rel_pos, rel_pos_zero_init, size)
        self.norm2 = norm_layer(dim)
        self.mlp = MLPBlock(dim, int(dim * mlp_ratio), act_layer)
        self.window_size = window_size

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        if self.window_size:
            windows, padded_hw = window_partition(normed, self.window_size)
            hw = (x.shape[1], x.shape[2])
            mixed = window_unpartition(self.attn(windows), self.window_size, padded_hw, hw)
        else:
            mixed = self.attn(normed)
        x = x + mixed
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Attention(nn.Module):
    """Attention among the cells of a map (B, H, W, C), perhaps with relative positions."""

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        qkv_bias: bool = True,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,  # noqa: ARG002  # Meta doesn't read it either
        input_size: HW | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.use_rel_pos = use_rel_pos
        if use_rel_pos:
            assert input_size is not None, "Input size must be provided if using relative positional encoding."
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * input_size[0] - 1, dim // num_heads))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * input_size[1] - 1, dim // num_heads))

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, _ = x.shape
        qkv = self.qkv(x).reshape(batch, height * width, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.flatten(1, 2)  # each (B * heads, H * W, C)
        attn = (q * self.scale) @ k.transpose(-2, -1)
        if self.use_rel_pos:
            hw = (height, width)
            attn = add_decomposed_rel_pos(attn, q, self.rel_pos_h, self.rel_pos_w, hw, hw)
        mixed = (attn.softmax(dim=-1) @ v).reshape(batch, self.num_heads, height, width, -1)
        out: Tensor = self.proj(mixed.permute(0, 2, 3, 1, 4).reshape(batch, height, width, -1))
        return out


def window_partition(x: Tensor, window_size: int) -> tuple[Tensor, HW]:
    """A map (B, H, W, C) as windows (B * n, size, size, C), and its height and width with the padding."""
    height, width = (-(-side // window_size) * window_size for side in x.shape[1:3])
    return vit.to_windows(x, window_size), (height, width)


def window_unpartition(windows: Tensor, window_size: int, pad_hw: HW, hw: HW) -> Tensor:
    """The map (B, H, W, C) of size `hw` that these windows were cut from, where it was padded to `pad_hw`."""
    return vit.from_windows(windows, window_size, pad_hw)[:, : hw[0], : hw[1]]


def get_rel_pos(q_size: int, k_size: int, rel_pos: Tensor) -> Tensor:
    """Of a table of embeddings (L, C), one for each distance, those of queries and keys: (q_size, k_size, C).

    A table of another length is stretched; where the sizes differ the smaller one's positions are spread.
    """
    length = 2 * max(q_size, k_size) - 1
    if len(rel_pos) != length:
        rel_pos = F.interpolate(rel_pos.T[None], size=length, mode="linear")[0].T
    q_step, k_step = max(k_size / q_size, 1.0), max(q_size / k_size, 1.0)
    q_at = torch.arange(q_size, device=rel_pos.device)[:, None] * q_step
    k_at = torch.arange(k_size, device=rel_pos.device)[None] * k_step
    return rel_pos[(q_at - k_at + (k_size - 1) * k_step).long()]


def add_decomposed_rel_pos(
    attn: Tensor, q: Tensor, rel_pos_h: Tensor, rel_pos_w: Tensor, q_size: HW, k_size: HW
) -> Tensor:
    """Scores (B, q_h * q_w, k_h * k_w) of queries q (B, q_h * q_w, C), with their row's and column's share added."""
    rows = get_rel_pos(q_size[0], k_size[0], rel_pos_h)
    columns = get_rel_pos(q_size[1], k_size[1], rel_pos_w)
    q_grid = q.reshape(len(q), *q_size, -1)
    by_row = q_grid @ rows.transpose(1, 2)  # (B, q_h, q_w, k_h)
    by_column = (q_grid.transpose(1, 2) @ columns.transpose(1, 2)).transpose(1, 2)  # (B, q_h, q_w, k_w)
    grid = attn.reshape(len(q), *q_size, *k_size) + by_row[..., :, None] + by_column[..., None, :]
    return grid.reshape(attn.shape)


class PatchEmbed(nn.Module):
    """Photo (B, C, H, W) -> a vector for each patch (B, H/16, W/16, embed_dim)."""

    def __init__(
        self,
        kernel_size: HW = (16, 16),
        stride: HW = (16, 16),
        padding: HW = (0, 0),
        in_chans: int = 3,
        embed_dim: int = 768,
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x).permute(0, 2, 3, 1)
        return out
