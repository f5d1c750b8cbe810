"""TinyViT image encoder as MobileSAM uses it (Wu et al. 2022, arXiv:2207.10666; MobileSAM, section 4).

A photo (B, 3, H, W) with H and W multiples of 32 becomes an embedding (B, 256, H/16, W/16): two strided
convolutions, one stage of inverted bottlenecks, three stages of windowed attention, SAM's neck.
The last of TinyViT's patch mergings has stride 1 here, so that 1024 gives SAM's 64 x 64.
Module names are upstream's, hence the state-dict keys too.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TinyVitConfig
from .layers import neck


class ConvBn(nn.Sequential):
    """Convolution without bias, then BatchNorm."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(OrderedDict(c=conv, bn=nn.BatchNorm2d(c_out)))


class PatchEmbed(nn.Module):
    """Two 3x3 convolutions of stride 2: a quarter of the resolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvBn(3, dim // 2, 3, 2), nn.GELU(), ConvBn(dim // 2, dim, 3, 2))

    def forward(self, x_bchw: Tensor) -> Tensor:
        out: Tensor = self.seq(x_bchw)
        return out


class MbConv(nn.Module):
    """Inverted bottleneck: 1x1 up by four, 3x3 depthwise, 1x1 down, and the input added."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = ConvBn(dim, dim * 4, 1)
        self.conv2 = ConvBn(dim * 4, dim * 4, 3, groups=dim * 4)
        self.conv3 = ConvBn(dim * 4, dim, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        hidden = F.gelu(self.conv1(x_bchw))
        hidden = F.gelu(self.conv2(hidden))
        return F.gelu(self.conv3(hidden) + x_bchw)


class PatchMerging(nn.Module):
    """To the next stage's width, and to half the resolution where `stride` is 2."""

    def __init__(self, dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBn(dim, out_dim, 1)
        self.conv2 = ConvBn(out_dim, out_dim, 3, stride, groups=out_dim)
        self.conv3 = ConvBn(out_dim, out_dim, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        hidden = F.gelu(self.conv1(x_bchw))
        hidden = F.gelu(self.conv2(hidden))
        out: Tensor = self.conv3(hidden)
        return out


def offset_index(height: int, width: int) -> Tensor:
    """For each pair of a window's cells, the number of its offset (|dy|, |dx|): int64 (N, N), N = height * width.

    >>> offset_index(2, 2).tolist()
    [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    """
    cells = torch.arange(height * width, device="cpu")  # real numbers even where the weights are only shapes
    rows, cols = cells // width, cells % width
    return (rows[:, None] - rows[None]).abs() * width + (cols[:, None] - cols[None]).abs()


class WindowAttention(nn.Module):
    """Attention among the cells of one window, with a learnt bias for each offset between two cells.

    The bias is looked up in every call, so weights loaded after `.eval()` count at once
    (upstream caches it in `.eval()` and silently keeps the old one).
    """

    offsets_nn: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        self.register_buffer("offsets_nn", offset_index(window, window), persistent=False)

    def forward(self, x_wnc: Tensor) -> Tensor:
        windows, cells, dim = x_wnc.shape
        qkv = self.qkv(self.norm(x_wnc)).reshape(windows, cells, self.heads, 3 * dim // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        # Spelt out rather than F.scaled_dot_product_attention: that exports to many more operators.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + self.attention_biases[:, self.offsets_nn]
        mixed = torch.softmax(scores, dim=-1) @ v
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(windows, cells, dim))
        return out


class Mlp(nn.Module):
    """LayerNorm, four times wider, GELU, back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, dim * 4)
        self.fc2 = nn.Linear(dim * 4, dim)

    def forward(self, x_bnc: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x_bnc))))
        return out


class TinyVitBlock(nn.Module):
    """Windowed attention, a 3x3 depthwise convolution, an MLP."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(dim, heads, window)
        self.mlp = Mlp(dim)
        self.local_conv = ConvBn(dim, dim, 3, groups=dim)

    def forward(self, x_bnc: Tensor, height: int, width: int) -> Tensor:
        x_bnc = x_bnc + self._attend(x_bnc, height, width)
        x_bnc = _to_tokens(self.local_conv(_to_map(x_bnc, height, width)))
        out: Tensor = x_bnc + self.mlp(x_bnc)
        return out

    def _attend(self, x_bnc: Tensor, height: int, width: int) -> Tensor:
        """Attention window by window; the border is filled with zeros, which take part (as upstream)."""
        batch, _, dim = x_bnc.shape
        size = self.window
        if height == size and width == size:
            whole: Tensor = self.attn(x_bnc)
            return whole
        # Written as (-h) mod size it is folded wrongly by converters with C's modulo (ncnn).
        pad_h, pad_w = (size - height % size) % size, (size - width % size) % size
        padded = F.pad(x_bnc.reshape(batch, height, width, dim), (0, 0, 0, pad_w, 0, pad_h))
        out = self.attend_windows(padded)[:, :height, :width]
        return out.reshape(batch, height * width, dim)

    def attend_windows(self, x_bhwc: Tensor) -> Tensor:
        """Attention window by window on a map whose sides are multiples of the window."""
        batch, height, width, dim = x_bhwc.shape
        size = self.window
        rows, cols = height // size, width // size
        # A window's rows are split off and brought together in four axes: phone runtimes know no more.
        windows = x_bhwc.reshape(batch * rows, size, cols, size * dim).transpose(1, 2)
        mixed = self.attn(windows.reshape(batch * rows * cols, size * size, dim))
        mixed = mixed.reshape(batch * rows, cols, size, size * dim).transpose(1, 2)
        out: Tensor = mixed.reshape(batch, height, width, dim)
        return out


def _to_map(x_bnc: Tensor, height: int, width: int) -> Tensor:
    """Tokens (B, H*W, C) as a map (B, C, H, W).

    By permuting four axes, here and in `_to_tokens`: a runtime that keeps channels last does that
    without moving anything, while (B, C, H*W) in between costs two copies (a tenth of the encoder).
    """
    return x_bnc.reshape(x_bnc.shape[0], height, width, -1).permute(0, 3, 1, 2)


def _to_tokens(x_bchw: Tensor) -> Tensor:
    return x_bchw.permute(0, 2, 3, 1).flatten(1, 2)


class ConvStage(nn.Module):
    """First stage: inverted bottlenecks, then a merging."""

    def __init__(self, dim: int, depth: int, out_dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MbConv(dim) for _ in range(depth))
        self.downsample = PatchMerging(dim, out_dim, stride=2)

    def forward(self, x_bchw: Tensor) -> Tensor:
        for block in self.blocks:
            x_bchw = block(x_bchw)
        out: Tensor = self.downsample(x_bchw)
        return out


class AttentionStage(nn.Module):
    """A stage of attention blocks, then a merging (None after the last stage)."""

    def __init__(self, dim: int, depth: int, heads: int, window: int, merging: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TinyVitBlock(dim, heads, window) for _ in range(depth))
        self.downsample = merging

    def forward(self, x_bchw: Tensor) -> Tensor:
        height, width = x_bchw.shape[-2:]
        x_bnc = _to_tokens(x_bchw)
        for block in self.blocks:
            x_bnc = block(x_bnc, height, width)
        x_bchw = _to_map(x_bnc, height, width)
        return x_bchw if self.downsample is None else self.downsample(x_bchw)


class TinyVit(nn.Module):
    """Photo (B, 3, H, W), normalised -> embedding (B, 256, H/16, W/16); H and W multiples of 32."""

    def __init__(self, config: TinyVitConfig | None = None, img_size: int = 1024) -> None:
        super().__init__()
        config = config or TinyVitConfig()
        self.config, self.img_size = config, img_size
        dims, depths = config.dims, config.depths
        self.patch_embed = PatchEmbed(dims[0])
        stages: list[nn.Module] = [ConvStage(dims[0], depths[0], dims[1])]
        for i in (1, 2, 3):
            # Stride 1 before the last stage keeps 1/16 of the photo's resolution, what SAM's decoder expects.
            merging = PatchMerging(dims[i], dims[i + 1], stride=2 if i == 1 else 1) if i < 3 else None
            stages.append(AttentionStage(dims[i], depths[i], config.heads[i], config.windows[i], merging))
        self.layers = nn.ModuleList(stages)
        self.norm_head = nn.LayerNorm(dims[3])
        self.head = nn.Linear(dims[3], config.classes)
        self.neck = neck(dims[3], config.out_dim)

    def trunk(self, x_bchw: Tensor) -> Tensor:
        """All before the neck: (B, dims[3], H/16, W/16)."""
        x_bchw = self.patch_embed(x_bchw)
        for layer in self.layers:
            x_bchw = layer(x_bchw)
        return x_bchw

    def forward(self, x_bchw: Tensor) -> Tensor:
        out: Tensor = self.neck(self.trunk(x_bchw))
        return out
