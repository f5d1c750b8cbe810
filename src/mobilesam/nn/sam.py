"""The whole model: image encoder, prompt encoder, mask decoder."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .config import STUDENTS, TinyVitConfig
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .tiny_vit import TinyVit
from .vit import VIT_B, VIT_H, VIT_L, Vit

__all__ = [
    "ENCODERS",
    "STUDENTS",
    "Sam",
    "TinyVitConfig",
    "build_sam",
    "build_student",
    "image_encoder",
    "with_encoder",
]


class Sam(nn.Module):
    """Segment Anything with any image encoder; tensors in, tensors out, in the model's own pixels.

    Photos are (B, 3, S, S), normalised and padded; see `mobilesam.image.to_tensor`.
    """

    def __init__(self, image_encoder: nn.Module, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    def encode(self, image_bchw: Tensor) -> Tensor:
        """Photo (B, 3, S, S) -> embedding (B, 256, S/16, S/16)."""
        out: Tensor = self.image_encoder(image_bchw)
        return out

    def decode(
        self, features_1chw: Tensor, coords_bn2: Tensor, labels_bn: Tensor, mask_b1hw: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """B prompts on one embedding -> logits (B, 4, 4H, 4W) and predicted IoU (B, 4).

        Without a mask the map (1, 256, H, W) may be smaller than the encoder's, as long as its longer side
        spans the model's square.
        """
        return self.decode_tokens(features_1chw, self.prompt_encoder.sparse(coords_bn2, labels_bn), mask_b1hw)

    def decode_tokens(
        self, features_1chw: Tensor, tokens_bnc: Tensor, mask_b1hw: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """`decode`, with the prompts already as the prompt encoder's tokens (B, N, 256).

        Without `mask_b1hw` the image map keeps its batch of 1, and the first layer's image side is
        computed once for all prompts.
        """
        encoder = self.prompt_encoder
        if mask_b1hw is None:
            image = features_1chw + encoder.no_mask()
        else:
            # Dense first: with the fixed shape first, OpenVINO 2026.4 fails when B changes between calls.
            image = encoder.dense(mask_b1hw) + features_1chw
        image_pe_nc = encoder.pe_layer.grid(features_1chw.shape[-2], features_1chw.shape[-1])
        logits, iou = self.mask_decoder(image, image_pe_nc, tokens_bnc)
        return logits, iou


ENCODERS: dict[str, Callable[[int], nn.Module]] = {
    "mobile_sam": lambda img_size: TinyVit(img_size=img_size),
    "sam_vit_b": lambda img_size: Vit(VIT_B, img_size),
    "sam_vit_l": lambda img_size: Vit(VIT_L, img_size),
    "sam_vit_h": lambda img_size: Vit(VIT_H, img_size),
}
"""Architecture, as the catalog names it -> its image encoder with random weights, for photos of a size."""


def image_encoder(arch: str | TinyVitConfig, img_size: int) -> nn.Module:
    """The encoder, with random weights, of an architecture of `ENCODERS` or of a student."""
    return ENCODERS[arch](img_size) if isinstance(arch, str) else TinyVit(arch, img_size)


def build_sam(arch: str = "mobile_sam", img_size: int = 1024) -> Sam:
    """An architecture of `ENCODERS` with random weights, in evaluation mode, with upstream's state-dict keys.

    >>> len(build_sam().state_dict())
    439
    """
    return with_encoder(image_encoder(arch, img_size), img_size)


def build_student(config: TinyVitConfig, img_size: int) -> Sam:
    """A TinyViT of any widths with SAM's decoder, random weights, in evaluation mode; `img_size` a multiple of 32.

    >>> sam = build_student(STUDENTS["tiny_vit_11m"], 512)
    >>> sam.prompt_encoder.img_size
    512
    """
    return with_encoder(image_encoder(config, img_size), img_size)


def with_encoder(encoder: nn.Module, img_size: int = 1024) -> Sam:
    """An image encoder and SAM's other two parts with random weights, in evaluation mode."""
    return Sam(encoder, PromptEncoder(img_size=img_size), MaskDecoder()).eval()
