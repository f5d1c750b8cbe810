"""Letterbox: the only place with scale and padding arithmetic.

SAM scales a photo so that its longest side becomes `size` (1024) and pads it on the right and at the
bottom to a square. Pixels, points, boxes and masks all go there and back through this one value.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from .errors import InputError
from .types import F32, HW, U8, AnyArray

MASK_STRIDE = 4
"""Low-resolution logits have a quarter of the model's size: 256 for 1024."""


@dataclass(frozen=True)
class Letterbox:
    """How an image of `image_hw` pixels lies in the model's square of `size` pixels.

    The same arithmetic as upstream (`ResizeLongestSide`): each side becomes
    `int(side * size / longest + 0.5)`, and points are scaled by each side's own ratio.

    Raises InputError where a side is not positive.

    >>> Letterbox((400, 600)).resized_hw
    (683, 1024)
    """

    image_hw: HW
    size: int = 1024

    def __post_init__(self) -> None:
        if min(self.image_hw) < 1 or self.size < 1:
            raise InputError(f"image and model sizes must be positive, got {self.image_hw} and {self.size}.")

    @property
    def resized_hw(self) -> HW:
        """Size of the image inside the model's square; never below one pixel a side."""
        height, width = self.image_hw
        scale = self.size / max(height, width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    @property
    def _scale_xy(self) -> AnyArray:
        (height, width), (new_height, new_width) = self.image_hw, self.resized_hw
        return np.array([new_width / width, new_height / height])

    def to_model(self, points_xy: AnyArray) -> F32:
        """Points (..., 2) from original pixels to the model's square, float32."""
        return np.asarray(np.asarray(points_xy, np.float64) * self._scale_xy, np.float32)

    def to_image(self, points_xy: AnyArray) -> F32:
        """Points (..., 2) from the model's square to original pixels, float32."""
        return np.asarray(np.asarray(points_xy, np.float64) / self._scale_xy, np.float32)

    def resize(self, image_rgb: U8) -> U8:
        """The image (H, W, 3) at `resized_hw`, by Pillow's antialiased bilinear filter as upstream."""
        height, width = self.resized_hw
        if image_rgb.shape[:2] == (height, width):
            return image_rgb
        resized = Image.fromarray(image_rgb).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(resized)

    def upsample(self, low_res_hw: F32) -> F32:
        """Low-resolution logits (size/4, size/4) as logits (H, W) over the original image.

        Upstream goes bilinearly to the model's size, crops the padding away, and goes bilinearly to
        the image; this does the same, but the first step only on the rows and columns that stay.
        """
        (height, width), (new_height, new_width) = self.image_hw, self.resized_hw
        rows, cols = _cells(new_height), _cells(new_width)
        part = np.ascontiguousarray(low_res_hw[:rows, :cols], np.float32)
        wh = (part.shape[1] * MASK_STRIDE, part.shape[0] * MASK_STRIDE)
        square = cv2.resize(part, wh, interpolation=cv2.INTER_LINEAR)
        cropped = square[:new_height, :new_width]
        return np.asarray(cv2.resize(cropped, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def downsample(self, image_values_hw: F32) -> F32:
        """A map (H, W) over the original image as (size/4, size/4), zeros in the padding."""
        new_height, new_width = self.resized_hw
        low = self.size // MASK_STRIDE
        height = max(1, round(new_height / MASK_STRIDE))
        width = max(1, round(new_width / MASK_STRIDE))
        out = np.zeros((low, low), np.float32)
        out[:height, :width] = cv2.resize(
            np.asarray(image_values_hw, np.float32), (width, height), interpolation=cv2.INTER_AREA
        )
        return out


def _cells(pixels: int) -> int:
    """Low-resolution cells whose values reach the first `pixels` pixels (one neighbour included)."""
    return -(-pixels // MASK_STRIDE) + 1


@dataclass(frozen=True, eq=False)
class Upsampler:
    """Letterbox.upsample as two matrices, so that a part of a mask can be had alone.

    Bilinear to the model's size, cropping, and bilinear to the image are each linear in rows and in
    columns, so their chain is one matrix an axis: full = rows @ low_res @ columns.T.
    """

    rows: F32
    """(H, size/4)"""
    columns: F32
    """(W, size/4)"""

    @classmethod
    def of(cls, letterbox: Letterbox) -> Upsampler:
        """The matrices of a letterbox."""
        (height, width), (new_height, new_width) = letterbox.image_hw, letterbox.resized_hw
        low = letterbox.size // MASK_STRIDE
        return cls(
            rows=_bilinear(new_height, height) @ _bilinear(low, letterbox.size)[:new_height],
            columns=_bilinear(new_width, width) @ _bilinear(low, letterbox.size)[:new_width],
        )

    def window(self, low_res_hw: F32, threshold: float) -> tuple[slice, slice]:
        """Rows and columns that hold every pixel above `threshold`; they may be empty.

        `low_res_hw` may end where the photo's part of the square ends. A pixel is a mean of cells, so where
        no cell is above, no pixel is.
        """
        cells = low_res_hw > threshold
        return _span(self.rows[:, _span(cells, 1)], 1), _span(self.columns[:, _span(cells, 0)], 1)

    def logits(self, low_res_hw: F32, rows: slice, columns: slice) -> F32:
        """The full-size logits of a window."""
        height, width = low_res_hw.shape
        y, x = _span(self.rows[rows, :height], 0), _span(self.columns[columns, :width], 0)
        return np.asarray(self.rows[rows, y] @ (low_res_hw[y, x] @ self.columns[columns, x].T), np.float32)


def _bilinear(source: int, target: int) -> F32:
    """The matrix (target, source) of a bilinear resize by pixel centres, edges repeated."""
    centre = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    lower = np.minimum(centre.astype(int), source - 1)
    upper = np.minimum(lower + 1, source - 1)
    share = (centre - lower).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    matrix[np.arange(target), lower] += 1 - share
    matrix[np.arange(target), upper] += share
    return matrix


def _span(matrix: AnyArray, reduced: int) -> slice:
    """From the first to the last line that isn't all zero along the axis `reduced`; empty where all are."""
    found = np.flatnonzero(np.count_nonzero(matrix, axis=reduced))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
