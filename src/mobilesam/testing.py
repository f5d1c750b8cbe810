"""Helpers for the tests of programs that use `mobilesam`, without weights or a runtime."""

from __future__ import annotations

import numpy as np

from .backends.base import BackendInfo
from .types import F32, AnyArray


class FakeBackend:
    """A backend with a closed form: each mask is a disc around the prompt, or the box itself.

    The embedding is the photo's mean colour, spread over the map. Mask 0 has the radius `radius` in the
    model's pixels, masks 1 to 3 half of it, all of it and twice of it, with predicted IoU 0.7, 0.9, 0.8.
    A prompt with a box gives the box in all four. Points of label 0 and padding don't count; a mask
    given without points or box comes back as it is.

    >>> from mobilesam import SAM
    >>> import numpy as np
    >>> sam = SAM.from_backend(FakeBackend(radius=256))
    >>> result = sam.predict(np.zeros((64, 64, 3), np.uint8), points=[32, 32])[0]
    >>> bool(result.masks[0, 32, 32]), bool(result.masks[0, 0, 0])
    (True, False)
    """

    def __init__(self, radius: float = 128.0) -> None:
        self.radius = radius
        self.info = BackendInfo("fake", "cpu", "fp32", "fake-0", 1024)

    def encode(self, image_bchw: F32) -> F32:
        """See `Backend.encode`."""
        colour = image_bchw.mean(axis=(0, 2, 3))
        features = np.zeros((1, 256, 64, 64), np.float32)
        features[0, :3] = colour[:, None, None]
        return features

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """See `Backend.decode`."""
        masks = [None] * len(coords_bn2) if mask_b1hw is None else list(mask_b1hw[:, 0])
        rows, columns = 4 * features_bchw.shape[2], 4 * features_bchw.shape[3]
        centres = (np.arange(max(rows, columns)) + 0.5) * self.info.img_size / max(rows, columns)
        prompts = zip(coords_bn2, labels_bn, masks, strict=True)
        logits = [_logits(self.radius, *prompt, centres[None, :columns], centres[:rows, None]) for prompt in prompts]
        iou = np.tile(np.array([0.75, 0.7, 0.9, 0.8], np.float32), (len(coords_bn2), 1))
        return np.stack(logits).astype(np.float32), iou


def _logits(radius: float, coords_n2: F32, labels_n: F32, mask_hw: F32 | None, x: AnyArray, y: AnyArray) -> AnyArray:
    """Four masks of one prompt at the cells' centres `x` (1, W) and `y` (H, 1)."""
    if 2 in labels_n:
        (x1, y1), (x2, y2) = coords_n2[labels_n == 2][0], coords_n2[labels_n == 3][0]
        inside = np.minimum(np.minimum(x - x1, x2 - x), np.minimum(y - y1, y2 - y))
        return np.repeat(inside[None], 4, axis=0)
    if not (labels_n == 1).any():
        nothing = np.full((y.size, x.size), -1.0, np.float32)
        return np.repeat((nothing if mask_hw is None else mask_hw)[None], 4, axis=0)
    distance = np.min([np.hypot(x - px, y - py) for px, py in coords_n2[labels_n == 1]], axis=0)
    return np.stack([radius * scale - distance for scale in (1.0, 0.5, 1.0, 2.0)])
