"""The prompt encoder."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ....nn import prompt_encoder
from .common import LayerNorm2d

Points = tuple[Tensor, Tensor]


class PositionEmbeddingRandom(prompt_encoder.PositionEmbeddingRandom):
    """Random Fourier features of positions."""

    def __init__(self, num_pos_feats: int = 64, scale: float | None = None) -> None:
        super().__init__(2 * num_pos_feats)
        if scale is not None and scale > 0:
            self.positional_encoding_gaussian_matrix *= scale

    def _pe_encoding(self, coords: Tensor) -> Tensor:
        """Positions (..., 2) as x, y in 0..1 -> features (..., C)."""
        angles = 2 * math.pi * ((2 * coords - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def forward(self, size: tuple[int, int]) -> Tensor:  # type: ignore[override]  # of a grid
        """Features (C, H, W) of the centres of a grid's cells; each axis spans 0..1."""
        height, width = size
        device = self.positional_encoding_gaussian_matrix.device
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        centres = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1)
        return self._pe_encoding(centres).permute(2, 0, 1)

    def forward_with_coords(self, coords_input: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Positions (B, N, 2) in pixels of an image (H, W) -> features (B, N, C)."""
        height, width = image_size
        coords = coords_input / torch.tensor([width, height], dtype=coords_input.dtype, device=coords_input.device)
        return self._pe_encoding(coords.to(torch.float))


class PromptEncoder(prompt_encoder.PromptEncoder):
    """Points, boxes and masks, in the model's pixels -> sparse and dense embeddings."""

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: tuple[int, int],
        input_image_size: tuple[int, int],
        mask_in_chans: int,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(embed_dim, max(input_image_size), mask_in_chans)
        self.embed_dim = embed_dim
        self.input_image_size = input_image_size
        self.image_embedding_size = image_embedding_size
        self.pe_layer: Any = PositionEmbeddingRandom(embed_dim // 2)
        self.num_point_embeddings = len(self.point_embeddings)
        self.mask_input_size = (4 * image_embedding_size[0], 4 * image_embedding_size[1])
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, 2, 2),
            LayerNorm2d(mask_in_chans // 4),
            activation(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, 2, 2),
            LayerNorm2d(mask_in_chans),
            activation(),
            nn.Conv2d(mask_in_chans, embed_dim, 1),
        )

    def get_dense_pe(self) -> Tensor:
        """Positions of the image embedding's cells (1, C, H, W)."""
        positions: Tensor = self.pe_layer(self.image_embedding_size)
        return positions.unsqueeze(0)

    def forward(self, points: Points | None, boxes: Tensor | None, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Points (B, N, 2) with labels (B, N), boxes (B, 4), masks (B, 1, 4H, 4W) -> (B, N', C), (B, C, H, W).

        Labels: 1 object, 0 not this, -1 padding; a point with another label is its position alone (as Meta).
        """
        count = self._get_batch_size(points, boxes, masks)
        sparse = torch.empty((count, 0, self.embed_dim), device=self._get_device())
        if points is not None:
            sparse = torch.cat([sparse, self._embed_points(*points, pad=boxes is None)], dim=1)
        if boxes is not None:
            sparse = torch.cat([sparse, self._embed_boxes(boxes)], dim=1)
        dense = self.no_mask().expand(count, -1, *self.image_embedding_size)
        return sparse, dense if masks is None else self._embed_masks(masks)

    def _embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        points = points + 0.5  # the pixel's centre
        if pad:
            points = torch.cat([points, torch.zeros_like(points[:, :1])], dim=1)
            labels = torch.cat([labels, -torch.ones_like(labels[:, :1])], dim=1)
        positions: Tensor = self.pe_layer.forward_with_coords(points, self.input_image_size)
        labels = labels.unsqueeze(-1)
        tokens = torch.where(labels == -1, self.not_a_point_embed.weight, positions)
        for label, embedding in enumerate(list(self.point_embeddings.parameters())[:2]):
            tokens = torch.where(labels == label, tokens + embedding, tokens)
        return tokens

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        corners = (boxes + 0.5).reshape(-1, 2, 2)
        positions: Tensor = self.pe_layer.forward_with_coords(corners, self.input_image_size)
        _, _, top_left, bottom_right = self.point_embeddings.parameters()
        return positions + torch.cat([top_left, bottom_right])

    def _embed_masks(self, masks: Tensor) -> Tensor:
        return self.dense(masks)

    def _get_batch_size(self, points: Points | None, boxes: Tensor | None, masks: Tensor | None) -> int:
        given = [points[0] if points is not None else None, boxes, masks]
        return next((len(prompts) for prompts in given if prompts is not None), 1)

    def _get_device(self) -> torch.device:
        return self.not_a_point_embed.weight.device
