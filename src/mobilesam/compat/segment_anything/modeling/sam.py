"""The whole model."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....image import MEAN, STD
from .image_encoder import ImageEncoderViT
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .tiny_vit_sam import TinyViT


class Sam(nn.Module):
    """Segment Anything: an image encoder, SAM's prompt encoder and mask decoder."""

    mask_threshold: float = 0.0
    image_format: str = "RGB"
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        image_encoder: ImageEncoderViT | TinyViT,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        pixel_mean: list[float] = list(MEAN),  # noqa: B006  # Meta's signature; never changed
        pixel_std: list[float] = list(STD),  # noqa: B006  # as above
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).reshape(-1, 1, 1), persistent=False)

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return self.pixel_mean.device

    @torch.no_grad()
    def forward(self, batched_input: list[dict[str, Any]], multimask_output: bool) -> list[dict[str, Tensor]]:
        """Photos with their prompts -> for each a dict of masks (B, C, H, W), iou_predictions, low_res_logits.

        A photo is a dict: image (3, h, w) with the longest side `img_size`, original_size (H, W), and any of
        point_coords (B, N, 2) with point_labels (B, N), boxes (B, 4), mask_inputs (B, 1, 256, 256), in the
        pixels of `image`.
        """
        images = torch.stack([self.preprocess(record["image"]) for record in batched_input])
        embeddings = self.image_encoder(images)
        return [
            self._answer(record, embedding[None], multimask_output)
            for record, embedding in zip(batched_input, embeddings, strict=True)
        ]

    def _answer(self, record: dict[str, Any], embedding: Tensor, multimask_output: bool) -> dict[str, Tensor]:
        points = (record["point_coords"], record["point_labels"]) if "point_coords" in record else None
        sparse, dense = self.prompt_encoder(points=points, boxes=record.get("boxes"), masks=record.get("mask_inputs"))
        low_res, iou = self.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )
        masks = self.postprocess_masks(low_res, record["image"].shape[-2:], record["original_size"])
        return {"masks": masks > self.mask_threshold, "iou_predictions": iou, "low_res_logits": low_res}

    def postprocess_masks(self, masks: Tensor, input_size: tuple[int, ...], original_size: tuple[int, ...]) -> Tensor:
        """Low-resolution logits (B, C, h, w) -> logits over the photo (B, C, H, W); `input_size` is without padding."""
        side = self.image_encoder.img_size
        square = F.interpolate(masks, (side, side), mode="bilinear", align_corners=False)
        inside = square[..., : input_size[0], : input_size[1]]
        return F.interpolate(inside, tuple(original_size), mode="bilinear", align_corners=False)

    def preprocess(self, x: Tensor) -> Tensor:
        """Pixels (..., 3, h, w), 0..255 -> normalised, with zeros right and below up to the square."""
        height, width = x.shape[-2:]
        side = self.image_encoder.img_size
        return F.pad((x - self.pixel_mean) / self.pixel_std, (0, side - width, 0, side - height))
