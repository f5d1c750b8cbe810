"""From a photo's pixels to the model's."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....geometry import Letterbox
from ....types import U8, AnyArray


class ResizeLongestSide:
    """Scales photos, points and boxes so that the photo's longest side is `target_length` pixels.

    >>> ResizeLongestSide(1024).apply_coords(np.array([[300, 200]]), (400, 600)).round(1).tolist()
    [[512.0, 341.5]]
    """

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    def apply_image(self, image: U8) -> U8:
        """A photo (H, W, 3) uint8, scaled by Pillow's antialiased bilinear filter."""
        letterbox = Letterbox((image.shape[0], image.shape[1]), self.target_length)
        return np.array(letterbox.resize(np.ascontiguousarray(image)))

    def apply_coords(self, coords: AnyArray, original_size: tuple[int, ...]) -> AnyArray:
        """Points (..., 2) as x, y, float64; the caller's array stays as it is."""
        return np.array(coords).astype(float) * self._scale(original_size)

    def apply_boxes(self, boxes: AnyArray, original_size: tuple[int, ...]) -> AnyArray:
        """Boxes (B, 4) xyxy, float64."""
        return self.apply_coords(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """Photos (B, C, H, W) float; close to `apply_image`, not equal."""
        size = self.get_preprocess_shape(image.shape[2], image.shape[3], self.target_length)
        return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)

    def apply_coords_torch(self, coords: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Points (..., 2) as x, y, float32."""
        return coords.to(torch.float) * torch.tensor(self._scale(original_size), device=coords.device).float()

    def apply_boxes_torch(self, boxes: Tensor, original_size: tuple[int, ...]) -> Tensor:
        """Boxes (B, 4) xyxy, float32."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> tuple[int, int]:
        """The scaled photo's height and width.

        >>> ResizeLongestSide.get_preprocess_shape(400, 600, 1024)
        (683, 1024)
        """
        return Letterbox((oldh, oldw), long_side_length).resized_hw

    def _scale(self, original_size: tuple[int, ...]) -> AnyArray:
        height, width = original_size
        new_height, new_width = self.get_preprocess_shape(height, width, self.target_length)
        return np.array([new_width / width, new_height / height])
