"""The upstream procedure in eager PyTorch, as the benchmarks' first column.

What a user of the original code runs: the plain network in float32, one point, all three masks brought
to the photo's size by two bilinear steps on the CPU. Our networks stand in for upstream's: the same
operations on the same weights (tests/contracts hold them to upstream's outputs).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from mobilesam.backends import Checkpoint
from mobilesam.catalog import locate
from mobilesam.geometry import Letterbox
from mobilesam.image import to_tensor
from mobilesam.nn.checkpoint import load_sam
from mobilesam.nn.transformer import Attention, ImageToTokenAttention, TokenToImageAttention


class EagerReference:
    """`set_image` and `predict` as upstream's SamPredictor does them."""

    def __init__(self) -> None:
        self.sam = load_sam("mobile_sam", 1024, Checkpoint(locate("mobilesam")).state())
        for module in self.sam.modules():
            if isinstance(module, (ImageToTokenAttention, TokenToImageAttention)):  # regrouped; upstream's are plain
                module.__class__ = Attention

    def encode(self, image: npt.NDArray[np.uint8]) -> torch.Tensor:
        letterbox = Letterbox(image.shape[:2])
        with torch.no_grad():
            return self.sam.encode(torch.from_numpy(to_tensor(image, letterbox)))

    def click(self, features: torch.Tensor, hw: tuple[int, int], xy: tuple[float, float]) -> npt.NDArray[np.bool_]:
        """One point -> three full-size masks (3, H, W), upstream's default."""
        letterbox = Letterbox(hw)
        coords = np.concatenate([letterbox.to_model(np.array([xy])), np.zeros((1, 2), np.float32)])[None]
        with torch.no_grad():
            logits, _ = self.sam.decode(features, torch.from_numpy(coords), torch.tensor([[1.0, -1.0]]))
            square = F.interpolate(logits[:, 1:], (1024, 1024), mode="bilinear", align_corners=False)
            height, width = letterbox.resized_hw
            full = F.interpolate(square[..., :height, :width], hw, mode="bilinear", align_corners=False)
            return (full > 0)[0].numpy()
