"""The mask decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....nn import layers, mask_decoder
from .common import LayerNorm2d


class MLP(layers.Mlp):
    """Linear layers with ReLU between them; at the end perhaps a sigmoid."""

    def __init__(
        self, input_dim: int, hidden_dim: int, output_dim: int, num_layers: int, sigmoid_output: bool = False
    ) -> None:
        super().__init__(input_dim, hidden_dim, output_dim, num_layers)
        self.num_layers = num_layers
        self.sigmoid_output = sigmoid_output

    def forward(self, x):  # type: ignore[no-untyped-def]  # as Meta's
        out = super().forward(x)
        return torch.sigmoid(out) if self.sigmoid_output else out


class MaskDecoder(mask_decoder.MaskDecoder):
    """Image embedding and prompt tokens -> low-resolution logits and predicted IoU."""

    def __init__(
        self,
        *,
        transformer_dim: int,
        transformer: nn.Module,
        num_multimask_outputs: int = 3,
        activation: type[nn.Module] = nn.GELU,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
    ) -> None:
        super().__init__(transformer_dim, num_multimask_outputs + 1)
        self.transformer_dim = transformer_dim
        self.transformer = transformer
        self.num_multimask_outputs = num_multimask_outputs
        self.num_mask_tokens = num_multimask_outputs + 1
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(transformer_dim, transformer_dim // 4, 2, 2),
            LayerNorm2d(transformer_dim // 4),
            activation(),
            nn.ConvTranspose2d(transformer_dim // 4, transformer_dim // 8, 2, 2),
            activation(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(transformer_dim, transformer_dim, transformer_dim // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = MLP(transformer_dim, iou_head_hidden_dim, self.num_mask_tokens, iou_head_depth)

    def forward(  # type: ignore[override]  # Meta's arguments
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Masks (B, 3 or 1, 4H, 4W) as logits and predicted IoU (B, 3 or 1)."""
        masks, iou_pred = self.predict_masks(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings
        )
        wanted = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, wanted], iou_pred[:, wanted]

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """All masks, the single-mask output first.

        Embedding and positions (1, C, H, W), prompt tokens (B, N, C) and maps (B, C, H, W)
        -> logits (B, 4, 4H, 4W), predicted IoU (B, 4).
        """
        count = sparse_prompt_embeddings.shape[0]
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(count, -1, -1)
        tokens = torch.cat([own, sparse_prompt_embeddings], dim=1)
        image = torch.repeat_interleave(image_embeddings, count, dim=0) + dense_prompt_embeddings
        batch, channels, height, width = image.shape
        tokens, image = self.transformer(image, torch.repeat_interleave(image_pe, count, dim=0), tokens)

        upscaled = self.output_upscaling(image.transpose(1, 2).reshape(batch, channels, height, width))
        kernels = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        masks = torch.stack(kernels, dim=1) @ upscaled.flatten(2)
        masks = masks.reshape(batch, -1, *upscaled.shape[-2:])
        return masks, self.iou_prediction_head(tokens[:, 0])
