"""SAM's prompt encoder: points, boxes and masks as tokens and maps (Kirillov et al. 2023, section 3, appendix A)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .layers import LayerNorm2d


class PositionEmbeddingRandom(nn.Module):
    """Random Fourier features of positions in [0, 1]^2 (Tancik et al. 2020)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))

    def forward(self, xy_norm: Tensor) -> Tensor:
        """Positions (..., 2) as x, y in [0, 1] -> features (..., dim)."""
        angles = 2 * math.pi * (self._turns(xy_norm[..., :1], 0) + self._turns(xy_norm[..., 1:], 1))
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Features of the centres of a grid's cells, row by row: (height * width, dim).

        The longer side spans the square, as a photo's does; the shorter one may leave the padding out.
        Sine and cosine are taken of rows and columns alone: sin(x + y) = sin x cos y + cos x sin y.
        """
        matrix = self.positional_encoding_gaussian_matrix
        cells = max(height, width)
        y = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / cells
        x = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / cells
        y_angles = 2 * math.pi * self._turns(y[:, None, None], 1)
        x_angles = 2 * math.pi * self._turns(x[None, :, None], 0)
        sines = x_angles.sin() * y_angles.cos() + x_angles.cos() * y_angles.sin()
        cosines = x_angles.cos() * y_angles.cos() - x_angles.sin() * y_angles.sin()
        return torch.cat([sines, cosines], dim=-1).flatten(0, 1)

    def _turns(self, position: Tensor, axis: int) -> Tensor:
        """Positions (..., 1) along one axis -> turns (..., dim / 2), one for each frequency."""
        return (2 * position - 1) * self.positional_encoding_gaussian_matrix[axis]


class PromptEncoder(nn.Module):
    """Prompts in the model's pixels -> sparse tokens (B, N, dim) and, for masks, a dense map.

    Labels: 1 object, 0 not this, 2 a box's top left corner, 3 its bottom right corner, -1 padding.
    """

    def __init__(self, dim: int = 256, img_size: int = 1024, mask_channels: int = 16) -> None:
        super().__init__()
        self.img_size = img_size
        self.pe_layer: Any = PositionEmbeddingRandom(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, 2, 2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, 2, 2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def sparse(self, coords_bn2: Tensor, labels_bn: Tensor) -> Tensor:
        """Tokens (B, N, dim) of points and box corners; a padding point has no position."""
        # Pixel centres: the corner (0, 0) of the photo is half a pixel away from its first pixel's centre.
        positions = self.pe_layer((coords_bn2 + 0.5) / self.img_size)
        labels = labels_bn.unsqueeze(-1)
        tokens: Tensor = positions * (labels != -1) + self.not_a_point_embed.weight * (labels == -1)
        for label, embedding in enumerate(self.point_embeddings.parameters()):
            tokens = tokens + embedding * (labels == label)
        return tokens

    def dense(self, mask_logits_b1hw: Tensor) -> Tensor:
        """Map (B, dim, H/4, W/4) of earlier low-resolution logits."""
        out: Tensor = self.mask_downscaling(mask_logits_b1hw)
        return out

    def no_mask(self) -> Tensor:
        """Map (1, dim, 1, 1) that stands for "no mask was given"."""
        return self.no_mask_embed.weight.reshape(1, -1, 1, 1)
