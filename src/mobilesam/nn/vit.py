"""SAM's own image encoder: a plain ViT with windowed and global attention (Li et al. 2022, arXiv:2203.16527).

A photo (B, 3, S, S) is cut into patches of 16 x 16; most blocks attend within windows of 14 x 14 patches, four
among all of them, and each knows how far two patches lie apart by learnt embeddings of rows and of columns.
Maps keep their channels last between blocks. Module names are upstream's, hence the state-dict keys too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import MlpBlock, neck

NORM_EPS = 1e-6


@dataclass(frozen=True)
class VitConfig:
    """Width and depth of a ViT; the defaults are SAM's ViT-B."""

    dim: int = 768
    depth: int = 12
    heads: int = 12
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    """Blocks that attend among all patches."""
    window: int = 14
    patch: int = 16
    out_dim: int = 256


VIT_B = VitConfig()
VIT_L = VitConfig(dim=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))
VIT_H = VitConfig(dim=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))


class PatchEmbed(nn.Module):
    """Photo (B, 3, H, W) -> a vector for each patch (B, H/16, W/16, dim)."""

    def __init__(self, dim: int, patch: int, channels: int = 3) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, patch)

    def forward(self, x_bchw: Tensor) -> Tensor:
        out: Tensor = self.proj(x_bchw).permute(0, 2, 3, 1)
        return out


class RelPosAttention(nn.Module):
    """Attention among the cells of a map of fixed size (B, H, W, dim), with relative positions.

    To the score of query q at (y, x) and key k at (v, u) come q . rows[y - v] and q . columns[x - u]
    (Li et al. 2021, arXiv:2112.01526, "decomposed").
    """

    def __init__(self, dim: int, heads: int, hw: tuple[int, int]) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * hw[0] - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * hw[1] - 1, dim // heads))

    def forward(self, x_bhwc: Tensor) -> Tensor:
        batch, height, width, dim = x_bhwc.shape
        cells, per_head = height * width, dim // self.heads
        qkv = self.qkv(x_bhwc).reshape(batch, cells, 3, self.heads, per_head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q * per_head**-0.5) @ k.transpose(-2, -1)
        scores = self._with_positions(scores, q, height, width)
        mixed = torch.softmax(scores, dim=-1) @ v
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, height, width, dim))
        return out

    def _with_positions(self, scores_bnqk: Tensor, q_bnqc: Tensor, height: int, width: int) -> Tensor:
        batch, heads, cells, per_head = q_bnqc.shape
        q_grid = q_bnqc.reshape(batch * heads, height, width, per_head)
        rows = self.rel_pos_h[distances(height, self.rel_pos_h.device)]  # (query's row, key's row, channel)
        columns = self.rel_pos_w[distances(width, self.rel_pos_w.device)]
        by_row = q_grid @ rows.transpose(1, 2)  # (B * heads, y, x, v)
        by_column = (q_grid.transpose(1, 2) @ columns.transpose(1, 2)).transpose(1, 2)  # (B * heads, y, x, u)
        scores = scores_bnqk.reshape(batch * heads, height, width, height, width)
        scores = scores + by_row[..., :, None] + by_column[..., None, :]
        return scores.reshape(batch, heads, cells, cells)


def distances(size: int, device: torch.device | None = None) -> Tensor:
    """For each pair of positions along an axis, the number of their distance: int64 (size, size).

    >>> distances(3).tolist()
    [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    """
    positions = torch.arange(size, device=device)
    return positions[:, None] - positions[None] + size - 1


class VitBlock(nn.Module):
    """Attention, within windows where `window` isn't 0, and an MLP, each after a LayerNorm."""

    def __init__(self, dim: int, heads: int, window: int, hw: tuple[int, int]) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = RelPosAttention(dim, heads, (window, window) if window else hw)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = MlpBlock(dim, dim * 4, nn.GELU)

    def forward(self, x_bhwc: Tensor) -> Tensor:
        normed = self.norm1(x_bhwc)
        x_bhwc = x_bhwc + (self._in_windows(normed) if self.window else self.attn(normed))
        out: Tensor = x_bhwc + self.mlp(self.norm2(x_bhwc))
        return out

    def _in_windows(self, x_bhwc: Tensor) -> Tensor:
        height, width = x_bhwc.shape[1:3]
        mixed = self.attn(to_windows(x_bhwc, self.window))
        return from_windows(mixed, self.window, (height, width))


def to_windows(x_bhwc: Tensor, size: int) -> Tensor:
    """A map cut into windows (B * windows, size, size, C); the border is filled with zeros."""
    batch, height, width, dim = x_bhwc.shape
    # Written as (-h) mod size it is folded wrongly by converters with C's modulo (ncnn).
    pad_h, pad_w = (size - height % size) % size, (size - width % size) % size
    padded = F.pad(x_bhwc, (0, 0, 0, pad_w, 0, pad_h))
    rows, columns = (height + pad_h) // size, (width + pad_w) // size
    windows = padded.reshape(batch, rows, size, columns, size, dim).transpose(2, 3)
    return windows.reshape(batch * rows * columns, size, size, dim)


def from_windows(windows_nhwc: Tensor, size: int, hw: tuple[int, int]) -> Tensor:
    """The map (B, H, W, C) of which `to_windows` made these windows, without the border."""
    height, width = hw
    rows, columns = -(-height // size), -(-width // size)
    dim = windows_nhwc.shape[-1]
    grid = windows_nhwc.reshape(-1, rows, columns, size, size, dim).transpose(2, 3)
    return grid.reshape(-1, rows * size, columns * size, dim)[:, :height, :width]


class Vit(nn.Module):
    """Photo (B, 3, S, S), normalised -> embedding (B, 256, S/16, S/16); S is fixed by the position tables."""

    def __init__(self, config: VitConfig = VIT_B, img_size: int = 1024) -> None:
        super().__init__()
        self.img_size = img_size
        side = img_size // config.patch
        self.patch_embed = PatchEmbed(config.dim, config.patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, config.dim))
        self.blocks = nn.ModuleList(
            VitBlock(config.dim, config.heads, 0 if i in config.global_blocks else config.window, (side, side))
            for i in range(config.depth)
        )
        self.neck = neck(config.dim, config.out_dim)

    def trunk(self, x_bchw: Tensor) -> Tensor:
        """All before the neck: (B, dim, S/16, S/16)."""
        x_bhwc: Tensor = self.patch_embed(x_bchw) + self.pos_embed
        for block in self.blocks:
            x_bhwc = block(x_bhwc)
        return x_bhwc.permute(0, 3, 1, 2)

    def forward(self, x_bchw: Tensor) -> Tensor:
        out: Tensor = self.neck(self.trunk(x_bchw))
        return out
