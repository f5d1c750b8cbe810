"""The networks as every converter takes them: plain operators, at most four axes, names and order of `contract`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..nn.fuse import fold_batch_norm
from ..nn.layers import LayerNorm2d
from ..nn.mask_decoder import MaskDecoder
from ..nn.prompt_encoder import PromptEncoder
from ..nn.sam import Sam
from ..nn.transformer import Attention
from ..types import F32
from .contract import ABSENT, PADDING

FAR = -1e4
"""Added to the scores of what isn't there: within half precision, and nothing after the softmax."""
POINTS = 8
"""Tokens of a decoder of fixed shape: a box and six clicks."""


class Encoder(nn.Module):
    """Photo (1, 3, S, S), normalised and padded -> embedding."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = fold_batch_norm(copy.deepcopy(sam.image_encoder))
        for unused in ("norm_head", "head"):  # TinyViT's ImageNet head
            if hasattr(self.image_encoder, unused):
                delattr(self.image_encoder, unused)
        neck: Any = self.image_encoder.neck
        rescale(neck[2], neck[3], 1 / 16)  # its squares reach 55,000, and half precision ends at 65,504

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.image_encoder(image)
        return out


class Decoder(nn.Module):
    """Embedding, points and labels, an earlier mask and whether there is one -> logits and predicted IoU.

    A token of label `ABSENT` counts for nothing, so that a decoder of fixed shape serves any number of points exactly.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder = copy.deepcopy(sam.prompt_encoder)
        self.prompt_encoder.__class__ = PlainPrompts
        self.mask_decoder = plain(copy.deepcopy(sam.mask_decoder))
        down: Any = self.prompt_encoder.mask_downscaling
        rescale(down[3], down[4], 64)  # its variance is 2e-5, and half precision may take less than 6e-5 for zero

    def forward(
        self, features: Tensor, coords: Tensor, labels: Tensor, mask: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        encoder = self.prompt_encoder
        dense = has_mask * encoder.dense(mask) + (1 - has_mask) * encoder.no_mask()
        positions = encoder.pe_layer.grid(features.shape[-2], features.shape[-1])
        absent = equal(labels, ABSENT) * FAR
        logits, iou = self.mask_decoder(features + dense, positions, encoder.sparse(coords, labels), absent)
        return logits, iou


class PlainPrompts(PromptEncoder):
    """The prompt encoder without comparisons, which ncnn doesn't have."""

    def sparse(self, coords_bn2: Tensor, labels_bn: Tensor) -> Tensor:
        """As the base class."""
        positions = self.pe_layer((coords_bn2 + 0.5) / self.img_size)
        labels = labels_bn.unsqueeze(-1)
        padding = equal(labels, PADDING)
        tokens: Tensor = positions * (1 - padding) + self.not_a_point_embed.weight * padding
        for label, embedding in enumerate(self.point_embeddings.parameters()):
            tokens = tokens + embedding * equal(labels, label)
        return tokens


class PlainMasks(MaskDecoder):
    """The decoder whose upscaling is the two transposed convolutions themselves, not regrouped in eight axes."""

    def _masks(self, image_bnc: Tensor, kernels_bcm: Tensor, height: int, width: int) -> Tensor:
        batch, _, dim = image_bnc.shape
        up_bchw = self.output_upscaling(image_bnc.transpose(1, 2).reshape(batch, dim, height, width))
        logits: Tensor = kernels_bcm.transpose(1, 2) @ up_bchw.flatten(2)
        return logits.reshape(batch, self.masks, 4 * height, 4 * width)


@dataclass(frozen=True)
class Networks:
    """What a format's `convert` gets: two networks and example inputs in the contract's order."""

    encoder: nn.Module
    decoder: nn.Module
    img_size: int
    cells: int
    """Rows and columns of the embedding."""
    points: int = POINTS
    """Tokens of a decoder of fixed shape."""
    photos: Sequence[F32] = ()
    """Encoder inputs to measure ranges on, where a precision needs that."""

    @classmethod
    def of(cls, sam: Sam, points: int = POINTS, photos: Sequence[F32] = ()) -> Networks:
        """The networks of a model; its own modules stay as they are."""
        size = sam.prompt_encoder.img_size
        networks = cls(Encoder(sam).eval(), Decoder(sam).eval(), size, size // 16, points, photos)
        for part in (networks.encoder, networks.decoder):
            part.requires_grad_(False)
        return networks

    def encoder_inputs(self) -> tuple[Tensor, ...]:
        """image (1, 3, S, S)."""
        return (torch.zeros(1, 3, self.img_size, self.img_size),)

    def decoder_inputs(self, prompts: int = 1, points: int | None = None) -> tuple[Tensor, ...]:
        """features, coords (B, N, 2), labels (B, N), mask (B, 1, S/4, S/4), has_mask (1,)."""
        count, low = self.points if points is None else points, 4 * self.cells
        labels = torch.full((prompts, count), -1.0)
        labels[:, :1] = 1
        return (
            torch.zeros(1, 256, self.cells, self.cells),
            torch.full((prompts, count, 2), self.img_size / 2),
            labels,
            torch.zeros(prompts, 1, low, low),
            torch.zeros(1),
        )


def equal(labels: Tensor, value: int) -> Tensor:
    """1 where a label, which is a whole number, is `value`, else 0: by arithmetic alone."""
    return torch.relu(1 - (labels - value).abs())


def plain(decoder: MaskDecoder) -> MaskDecoder:
    """The same decoder with attention and upscaling as the paper has them, in place of our regrouped forms."""
    for module in decoder.modules():
        if isinstance(module, Attention):
            module.__class__ = Attention
    decoder.__class__ = PlainMasks
    return decoder


def rescale(conv: nn.Conv2d, norm: LayerNorm2d, factor: float) -> None:
    """The same result with other values in between, for runtimes that compute in half precision; in place.

    A LayerNorm takes out the scale of what it gets. With powers of two not even the rounding changes.
    """
    for parameter in conv.parameters():
        parameter.detach().mul_(factor)
    norm.eps *= factor**2
