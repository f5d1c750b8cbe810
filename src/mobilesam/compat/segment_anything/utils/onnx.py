"""Prompt encoder, mask decoder and scaling to the photo as one network with six inputs, for export to ONNX."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..modeling import Sam
from .amg import calculate_stability_score


class SamOnnxModel(nn.Module):
    """Meta's decoder for ONNX: no branches, any number of points, and the photo's size as an input.

    Sizes stay tensors while it is traced, so portrait and landscape photos work (segment-anything 1.0 on PyPI
    freezes the example's aspect).
    """

    def __init__(
        self,
        model: Sam,
        return_single_mask: bool,
        use_stability_score: bool = False,
        return_extra_metrics: bool = False,
    ) -> None:
        super().__init__()
        self.mask_decoder = model.mask_decoder
        self.model = model
        self.img_size = model.image_encoder.img_size
        self.return_single_mask = return_single_mask
        self.use_stability_score = use_stability_score
        self.stability_score_offset = 1.0
        self.return_extra_metrics = return_extra_metrics

    @staticmethod
    def resize_longest_image_size(input_image_size: Tensor, longest_side: int) -> Tensor:
        """A photo's size (2,) -> its size in the model's square, int64."""
        size = input_image_size.to(torch.float32)
        return torch.floor(size * (longest_side / torch.max(size)) + 0.5).to(torch.int64)

    def _embed_points(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        encoder: Any = self.model.prompt_encoder
        positions = encoder.pe_layer._pe_encoding((point_coords + 0.5) / self.img_size)  # noqa: SLF001  # the seam that Meta has
        labels = point_labels.unsqueeze(-1)
        tokens: Tensor = positions * (labels != -1) + encoder.not_a_point_embed.weight * (labels == -1)
        for label in range(encoder.num_point_embeddings):
            tokens = tokens + encoder.point_embeddings[label].weight * (labels == label)
        return tokens

    def _embed_masks(self, input_mask: Tensor, has_mask_input: Tensor) -> Tensor:
        encoder: Any = self.model.prompt_encoder
        given = encoder.mask_downscaling(input_mask)
        none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        out: Tensor = has_mask_input * given + (1 - has_mask_input) * none
        return out

    def mask_postprocessing(self, masks: Tensor, orig_im_size: Tensor) -> Tensor:
        """Low-resolution logits -> logits over a photo of `orig_im_size` (2,)."""
        square = F.interpolate(masks, (self.img_size, self.img_size), mode="bilinear", align_corners=False)
        height, width = self.resize_longest_image_size(orig_im_size, self.img_size)
        inside = square[..., :height, :width]
        size = orig_im_size.to(torch.int64)
        return F.interpolate(inside, (size[0], size[1]), mode="bilinear", align_corners=False)  # type: ignore[arg-type]  # tensors, to be traced

    def select_masks(self, masks: Tensor, iou_preds: Tensor, num_points: int) -> tuple[Tensor, Tensor]:
        """One mask a prompt: the single-mask output from three tokens on, else the best of the other three."""
        reweight = torch.tensor([[1000] + [0] * (self.model.mask_decoder.num_mask_tokens - 1)], device=iou_preds.device)
        best = torch.argmax(iou_preds + (num_points - 2.5) * reweight, dim=1)
        prompts = torch.arange(masks.shape[0])
        return masks[prompts, best].unsqueeze(1), iou_preds[prompts, best].unsqueeze(1)

    @torch.no_grad()
    def forward(  # type: ignore[no-untyped-def]  # as Meta's
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ):
        """Logits over the photo, predicted IoU, low-res logits; with extra metrics stability and areas before the last.

        Embedding (1, 256, 64, 64), points (1, N, 2) in the model's pixels with labels (1, N) (-1 padding, 2 and
        3 a box's corners), mask (1, 1, 256, 256) with has_mask_input (1,) 0 or 1, the photo's size (2,).
        """
        masks, scores = self.model.mask_decoder.predict_masks(
            image_embeddings=image_embeddings,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=self._embed_points(point_coords, point_labels),
            dense_prompt_embeddings=self._embed_masks(mask_input, has_mask_input),
        )
        threshold, offset = self.model.mask_threshold, self.stability_score_offset
        if self.use_stability_score:
            scores = calculate_stability_score(masks, threshold, offset)
        if self.return_single_mask:
            masks, scores = self.select_masks(masks, scores, point_coords.shape[1])
        upscaled = self.mask_postprocessing(masks, orig_im_size)
        if self.return_extra_metrics:
            stability = calculate_stability_score(upscaled, threshold, offset)
            areas = (upscaled > threshold).sum(-1).sum(-1)
            return upscaled, scores, stability, areas, masks
        return upscaled, scores, masks
