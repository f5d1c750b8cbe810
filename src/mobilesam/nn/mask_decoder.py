"""SAM's mask decoder: four masks and their predicted IoU for each prompt (paper, section 3)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
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
        self.transformer: nn.Module = TwoWayTransformer(dim=dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(masks, dim)
        self.output_upscaling: Any = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, 2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(dim, dim, dim // 8, 3) for _ in range(masks))
        self.iou_prediction_head = Mlp(dim, 256, masks, 3)

    def forward(
        self, image_bchw: Tensor, image_pe_nc: Tensor, sparse_bnc: Tensor, *absent_bn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Image map (B or 1, C, H, W) with the dense prompt added, its positions, tokens (B, N, C).

        A token counts for nothing where `absent_bn`, if given, is a large negative number (and 0 elsewhere).
        """
        own_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own_tokens.expand(sparse_bnc.shape[0], -1, -1), sparse_bnc], dim=1)
        absent = (F.pad(given, (1 + self.masks, 0)) for given in absent_bn)  # the decoder's own are there
        tokens, image_bnc = self.transformer(image_bchw, image_pe_nc, tokens, 1 + self.masks, *absent)

        kernels = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        logits = self._masks(image_bnc, torch.stack(kernels, dim=2), *image_bchw.shape[-2:])
        return logits, self.iou_prediction_head(tokens[:, 0])

    def _masks(self, image_bnc: Tensor, kernels_bcm: Tensor, height: int, width: int) -> Tensor:
        """`kernels` applied to the image scaled up by four: (B, M, 4 * height, 4 * width).

        A transposed convolution whose kernel is as large as its stride makes 2x2 cells of each cell on
        its own: a linear layer. So the cells stay rows, with channels last, and only the finished
        logits are put in order.
        """
        first, norm, second = self.output_upscaling[0], self.output_upscaling[1], self.output_upscaling[3]
        # With weights whose mean over the outputs is zero, the cells' mean over the channels is zero too:
        # what is left of the normalisation is the division.
        centred = first.weight - first.weight.mean(dim=1, keepdim=True)
        cells = _quadruple(image_bnc, centred, first.bias - first.bias.mean())
        scale = torch.rsqrt((cells * cells).mean(dim=-1, keepdim=True) + norm.eps)
        cells = F.gelu(cells * scale * norm.weight + norm.bias)
        cells = F.gelu(_quadruple(cells, second.weight, second.bias))
        batch, channels, masks = kernels_bcm.shape
        logits = kernels_bcm.transpose(1, 2) @ cells.reshape(batch, -1, channels).transpose(1, 2)
        logits = logits.reshape(batch, masks, height, width, 2, 2, 2, 2)
        in_order = logits.permute(0, 1, 2, 4, 6, 3, 5, 7)  # mask, row and its halves, column and its halves
        return in_order.reshape(batch, masks, 4 * height, 4 * width)


def _quadruple(cells: Tensor, weight_ioyx: Tensor, bias: Tensor) -> Tensor:
    """Rows (..., C) -> (..., 4, C'): the four cells that each becomes under a transposed convolution."""
    inputs, outputs, _, _ = weight_ioyx.shape
    linear = weight_ioyx.permute(2, 3, 1, 0).reshape(4 * outputs, inputs)
    quadrupled = F.linear(cells, linear, bias.repeat(4))
    return quadrupled.reshape(*quadrupled.shape[:-1], 4, outputs)
