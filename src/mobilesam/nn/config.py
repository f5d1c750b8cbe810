"""Widths and depths of TinyViT encoders, and which tensors each has. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Four = tuple[int, int, int, int]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class TinyVitConfig:
    """Widths and depths of a TinyViT; the defaults are TinyViT-5M."""

    dims: Four = (64, 128, 160, 320)
    depths: Four = (2, 2, 6, 2)
    heads: Four = (2, 4, 5, 10)
    windows: Four = (7, 7, 14, 7)
    out_dim: int = 256
    classes: int = 1000
    """Width of the unused ImageNet head that upstream's checkpoint still carries."""


STUDENTS: dict[str, TinyVitConfig] = {
    "tiny_vit_5m": TinyVitConfig(),
    "tiny_vit_11m": TinyVitConfig(dims=(64, 128, 256, 448), heads=(2, 4, 8, 14)),
    "tiny_vit_21m": TinyVitConfig(dims=(96, 192, 384, 576), heads=(3, 6, 12, 18)),
}
"""Encoders to train, by name (Wu et al. 2022, arXiv:2207.10666, table 1; windows as MobileSAM has them)."""


def name_of(config: TinyVitConfig) -> str:
    """The name in `STUDENTS`, or "tiny_vit" for other widths.

    >>> name_of(TinyVitConfig())
    'tiny_vit_5m'
    """
    return next((name for name, known in STUDENTS.items() if known == config), "tiny_vit")


def encoder_shapes(config: TinyVitConfig) -> dict[str, Shape]:
    """State-dict key -> shape of a TinyViT.

    >>> encoder_shapes(TinyVitConfig())["image_encoder.layers.1.blocks.0.attn.attention_biases"]
    (4, 49)
    """
    return {f"image_encoder.{key}": shape for key, shape in _encoder(config)}


def _encoder(config: TinyVitConfig) -> Iterator[tuple[str, Shape]]:
    dims, last = config.dims, config.dims[3]
    yield from _conv_bn("patch_embed.seq.0", dims[0] // 2, 3, 3)
    yield from _conv_bn("patch_embed.seq.2", dims[0], dims[0] // 2, 3)
    for stage in range(4):
        for block in range(config.depths[stage]):
            name = f"layers.{stage}.blocks.{block}"
            yield from _bottleneck(name, dims[0], 4 * dims[0], dims[0]) if stage == 0 else _block(name, stage, config)
        if stage < 3:
            yield from _bottleneck(f"layers.{stage}.downsample", dims[stage], dims[stage + 1], dims[stage + 1])
    yield from _affine("norm_head", last)
    yield from _linear("head", config.classes, last)
    yield "neck.0.weight", (config.out_dim, last, 1, 1)
    yield from _affine("neck.1", config.out_dim)
    yield "neck.2.weight", (config.out_dim, config.out_dim, 3, 3)
    yield from _affine("neck.3", config.out_dim)


def _block(name: str, stage: int, config: TinyVitConfig) -> Iterator[tuple[str, Shape]]:
    """Windowed attention, an MLP, a depthwise convolution."""
    dim = config.dims[stage]
    yield f"{name}.attn.attention_biases", (config.heads[stage], config.windows[stage] ** 2)
    yield from _affine(f"{name}.attn.norm", dim)
    yield from _linear(f"{name}.attn.qkv", 3 * dim, dim)
    yield from _linear(f"{name}.attn.proj", dim, dim)
    yield from _affine(f"{name}.mlp.norm", dim)
    yield from _linear(f"{name}.mlp.fc1", 4 * dim, dim)
    yield from _linear(f"{name}.mlp.fc2", dim, 4 * dim)
    yield from _conv_bn(f"{name}.local_conv", dim, 1, 3)


def _bottleneck(name: str, c_in: int, hidden: int, c_out: int) -> Iterator[tuple[str, Shape]]:
    """1x1, 3x3 depthwise, 1x1: an inverted bottleneck or a patch merging."""
    yield from _conv_bn(f"{name}.conv1", hidden, c_in, 1)
    yield from _conv_bn(f"{name}.conv2", hidden, 1, 3)
    yield from _conv_bn(f"{name}.conv3", c_out, hidden, 1)


def _conv_bn(name: str, c_out: int, c_in: int, kernel: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.c.weight", (c_out, c_in, kernel, kernel)
    yield from ((f"{name}.bn.{part}", (c_out,)) for part in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.bn.num_batches_tracked", ()


def _linear(name: str, c_out: int, c_in: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (c_out, c_in)
    yield f"{name}.bias", (c_out,)


def _affine(name: str, dim: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (dim,)
    yield f"{name}.bias", (dim,)
