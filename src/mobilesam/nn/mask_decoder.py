"""SAM's mask decoder: four masks and their predicted IoU for each prompt (paper, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import LayerNorm2d, Mlp
from .transformer import TwoWayTransformer


class MaskDecoder(nn.Module):
    """Image map and prompt tokens -> low-resolution logits (B, 4, 4H, 4W) and predicted IoU (B, 4).

    All four masks come out: 0 is the single-mask output, 1 to 3 are the ambiguous ones.
    """

    def __init__(self, dim: int = 256, masks: int = 4) -> None:
        super().__init__()
        self.masks = masks
        self.transformer = TwoWayTransformer(dim=dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(masks, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, 2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(dim, dim, dim // 8, 3) for _ in range(masks))
        self.iou_prediction_head = Mlp(dim, 256, masks, 3)

    def forward(self, image_bchw: Tensor, image_pe_chw: Tensor, sparse_bnc: Tensor) -> tuple[Tensor, Tensor]:
        """Image map (B or 1, C, H, W) with the dense prompt added, its positions, tokens (B, N, C)."""
        own_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own_tokens.expand(sparse_bnc.shape[0], -1, -1), sparse_bnc], dim=1)
        tokens, image_bnc = self.transformer(image_bchw, image_pe_chw, tokens)

        height, width = image_bchw.shape[-2:]
        upscaled = self.output_upscaling(image_bnc.transpose(1, 2).unflatten(2, (height, width)))
        kernels = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        logits = (torch.stack(kernels, dim=1) @ upscaled.flatten(2)).unflatten(2, upscaled.shape[-2:])
        return logits, self.iou_prediction_head(tokens[:, 0])
