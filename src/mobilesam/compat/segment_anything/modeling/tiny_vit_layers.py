"""The layers that MobileSAM's image encoder is made of, under its authors' names; see `tiny_vit_sam`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ....nn import vit
from ....nn.tiny_vit import offset_index

LAST_WIDTHS = (320, 448, 576)
"""Merging to one of these keeps the resolution, as upstream's does: 1/16 is what SAM's decoder expects."""


class Conv2d_BN(nn.Sequential):
    """Convolution without bias, then BatchNorm."""

    def __init__(self, a, b, ks=1, stride=1, pad=0, dilation=1, groups=1, bn_weight_init=1):
        super().__init__()
        self.add_module("c", nn.Conv2d(a, b, ks, stride, pad, dilation, groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(b))
        nn.init.constant_(self.bn.weight, bn_weight_init)

    @torch.no_grad()
    def fuse(self):
        """The two as one convolution with a bias."""
        conv, norm = self.c, self.bn
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        fused = nn.Conv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups
        )
        fused.weight.copy_(conv.weight * scale[:, None, None, None])
        fused.bias.copy_(norm.bias - norm.running_mean * scale)
        return fused


class DropPath(nn.Module):
    """In training, what a block adds is left out of some photos (Huang et al. 2016); the rest grow by as much."""

    def __init__(self, drop_prob=None):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if not self.training or not self.drop_prob:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.drop_prob
        return x * kept / (1 - self.drop_prob)

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}"


def _drop_path(rate: float) -> nn.Module:
    return DropPath(rate) if rate > 0 else nn.Identity()


class PatchEmbed(nn.Module):
    """Photo (B, C, H, W) -> (B, embed_dim, H/4, W/4)."""

    def __init__(self, in_chans, embed_dim, resolution, activation):
        super().__init__()
        height, width = resolution if isinstance(resolution, tuple) else (resolution, resolution)
        self.patches_resolution = (height // 4, width // 4)
        self.num_patches = self.patches_resolution[0] * self.patches_resolution[1]
        self.in_chans, self.embed_dim = in_chans, embed_dim
        half = embed_dim // 2
        self.seq = nn.Sequential(Conv2d_BN(in_chans, half, 3, 2, 1), activation(), Conv2d_BN(half, embed_dim, 3, 2, 1))

    def forward(self, x):
        return self.seq(x)


class MBConv(nn.Module):
    """Inverted bottleneck of a map (B, C, H, W): 1x1 up, 3x3 depthwise, 1x1 down, and the input added."""

    def __init__(self, in_chans, out_chans, expand_ratio, activation, drop_path):
        super().__init__()
        self.in_chans, self.out_chans = in_chans, out_chans
        self.hidden_chans = hidden = int(in_chans * expand_ratio)
        self.conv1 = Conv2d_BN(in_chans, hidden)
        self.act1 = activation()
        self.conv2 = Conv2d_BN(hidden, hidden, 3, 1, 1, groups=hidden)
        self.act2 = activation()
        self.conv3 = Conv2d_BN(hidden, out_chans, bn_weight_init=0.0)
        self.act3 = activation()
        self.drop_path = _drop_path(drop_path)

    def forward(self, x):
        hidden = self.act2(self.conv2(self.act1(self.conv1(x))))
        return self.act3(self.drop_path(self.conv3(hidden)) + x)


class PatchMerging(nn.Module):
    """A map (B, C, H, W), or tokens (B, H*W, C) of `input_resolution` -> tokens of the next stage's width."""

    def __init__(self, input_resolution, dim, out_dim, activation):
        super().__init__()
        self.input_resolution, self.dim, self.out_dim = input_resolution, dim, out_dim
        self.act = activation()
        self.conv1 = Conv2d_BN(dim, out_dim)
        self.conv2 = Conv2d_BN(out_dim, out_dim, 3, 1 if out_dim in LAST_WIDTHS else 2, 1, groups=out_dim)
        self.conv3 = Conv2d_BN(out_dim, out_dim)

    def forward(self, x):
        if x.ndim == 3:
            x = to_map(x, self.input_resolution)
        x = self.conv3(self.act(self.conv2(self.act(self.conv1(x)))))
        return x.flatten(2).transpose(1, 2)


class _Layer(nn.Module):
    """A stage: blocks, then a merging where there is one."""

    def __init__(self, dim, input_resolution, depth, drop_path, downsample, use_checkpoint, out_dim, activation, block):
        super().__init__()
        self.dim, self.input_resolution, self.depth = dim, input_resolution, depth
        self.use_checkpoint = use_checkpoint
        rates = drop_path if isinstance(drop_path, list) else [drop_path] * depth
        self.blocks = nn.ModuleList(block(rate) for rate in rates[:depth])
        if downsample is not None:
            self.downsample = downsample(input_resolution, dim=dim, out_dim=out_dim, activation=activation)
        else:
            self.downsample = None

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.use_checkpoint else block(x)
        return x if self.downsample is None else self.downsample(x)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, input_resolution={self.input_resolution}, depth={self.depth}"


class ConvLayer(_Layer):
    """The first stage, of inverted bottlenecks."""

    def __init__(
        self,
        dim,
        input_resolution,
        depth,
        activation,
        drop_path=0.0,
        downsample=None,
        use_checkpoint=False,
        out_dim=None,
        conv_expand_ratio=4.0,
    ):
        super().__init__(
            dim, input_resolution, depth, drop_path, downsample, use_checkpoint, out_dim, activation,
            lambda rate: MBConv(dim, dim, conv_expand_ratio, activation, rate),
        )  # fmt: skip

    def forward(self, x):
        return super().forward(x)


class Mlp(nn.Module):
    """LayerNorm, two linear layers with an activation between: (B, N, C)."""

    def __init__(self, in_features, hidden_features=None, out_features=None, act_layer=nn.GELU, drop=0.0):
        super().__init__()
        hidden = hidden_features or in_features
        self.norm = nn.LayerNorm(in_features)
        self.fc1 = nn.Linear(in_features, hidden)
        self.fc2 = nn.Linear(hidden, out_features or in_features)
        self.act = act_layer()
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(self.act(self.fc1(self.norm(x))))))


class Attention(nn.Module):
    """Attention among the cells of a window (B, N, C), with a learnt bias for each offset between two cells."""

    def __init__(self, dim, key_dim, num_heads=8, attn_ratio=4, resolution=(14, 14)):
        super().__init__()
        assert isinstance(resolution, tuple) and len(resolution) == 2
        self.num_heads, self.key_dim, self.attn_ratio = num_heads, key_dim, attn_ratio
        self.scale = key_dim**-0.5
        self.nh_kd = key_dim * num_heads
        self.d = int(attn_ratio * key_dim)
        self.dh = self.d * num_heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, self.dh + self.nh_kd * 2)
        self.proj = nn.Linear(self.dh, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, resolution[0] * resolution[1]))
        self.register_buffer("attention_bias_idxs", offset_index(*resolution), persistent=False)

    def train(self, mode=True):
        return super().train(mode)

    def forward(self, x):
        windows, cells, _ = x.shape
        qkv = self.qkv(self.norm(x)).reshape(windows, cells, self.num_heads, -1).transpose(1, 2)
        q, k, v = qkv.split([self.key_dim, self.key_dim, self.d], dim=-1)
        scores = q @ k.transpose(-2, -1) * self.scale + self.attention_biases[:, self.attention_bias_idxs]
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(windows, cells, self.dh)
        return self.proj(mixed)


class TinyViTBlock(nn.Module):
    """Attention within windows, a depthwise convolution, an MLP: tokens (B, H*W, C)."""

    def __init__(
        self,
        dim,
        input_resolution,
        num_heads,
        window_size=7,
        mlp_ratio=4.0,
        drop=0.0,
        drop_path=0.0,
        local_conv_size=3,
        activation=nn.GELU,
    ):
        super().__init__()
        assert window_size > 0, "window_size must be greater than 0"
        assert dim % num_heads == 0, "dim must be divisible by num_heads"
        self.dim, self.input_resolution, self.num_heads = dim, input_resolution, num_heads
        self.window_size, self.mlp_ratio = window_size, mlp_ratio
        self.drop_path = _drop_path(drop_path)
        self.attn = Attention(dim, dim // num_heads, num_heads, attn_ratio=1, resolution=(window_size, window_size))
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_layer=activation, drop=drop)
        self.local_conv = Conv2d_BN(dim, dim, local_conv_size, 1, local_conv_size // 2, groups=dim)

    def forward(self, x):
        hw = self.input_resolution
        assert x.shape[1] == hw[0] * hw[1], "input feature has wrong size"
        grid = x.unflatten(1, hw)
        windows = vit.to_windows(grid, self.window_size)
        mixed = self.attn(windows.flatten(1, 2)).reshape(windows.shape)
        x = x + self.drop_path(vit.from_windows(mixed, self.window_size, hw).flatten(1, 2))
        x = self.local_conv(to_map(x, hw)).flatten(2).transpose(1, 2)
        return x + self.drop_path(self.mlp(x))

    def extra_repr(self) -> str:
        return (
            f"dim={self.dim}, input_resolution={self.input_resolution}, num_heads={self.num_heads}, "
            f"window_size={self.window_size}, mlp_ratio={self.mlp_ratio}"
        )


class BasicLayer(_Layer):
    """A stage of attention blocks."""

    def __init__(
        self,
        dim,
        input_resolution,
        depth,
        num_heads,
        window_size,
        mlp_ratio=4.0,
        drop=0.0,
        drop_path=0.0,
        downsample=None,
        use_checkpoint=False,
        local_conv_size=3,
        activation=nn.GELU,
        out_dim=None,
    ):
        super().__init__(
            dim, input_resolution, depth, drop_path, downsample, use_checkpoint, out_dim, activation,
            lambda rate: TinyViTBlock(
                dim, input_resolution, num_heads, window_size, mlp_ratio, drop, rate, local_conv_size, activation
            ),
        )  # fmt: skip

    def forward(self, x):
        return super().forward(x)

    def extra_repr(self) -> str:
        return super().extra_repr()


def to_map(tokens: Tensor, hw: tuple[int, int]) -> Tensor:
    """Tokens (B, H*W, C) as a map (B, C, H, W)."""
    grid: Tensor = tokens.unflatten(1, hw)
    return grid.permute(0, 3, 1, 2)
