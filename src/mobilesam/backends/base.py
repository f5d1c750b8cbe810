"""The seam to the runtimes: two calls, NumPy in and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..types import F32


@dataclass(frozen=True)
class BackendInfo:
    """What a loaded backend is."""

    runtime: str
    device: str
    precision: str
    model_id: str
    img_size: int
    streams: int = 1
    """How many `decode` calls of several prompts at a time are fastest."""
    whole_maps_only: bool = False
    """True where `decode` takes no smaller maps than the encoder's."""
    cuts: tuple[int, ...] = ()
    """Rows (or columns) of 16 pixels to which `encode` takes photos cut, see there."""


def encode_lying(image_bchw: F32, encode: Callable[[str, bool, F32], F32]) -> F32:
    """`Backend.encode` by encoders that know photos whose lower part is cut off: one that stands is laid down for them.

    `encode` gets the graph's part ("encoder", "encoder_45"), whether the photo was turned over its diagonal, which the
    weights must be too, and the photo.
    """
    height, width = image_bchw.shape[2:]
    part = "encoder" if height == width else f"encoder_{min(height, width) // 16}"
    if height <= width:
        return encode(part, False, image_bchw)
    return encode(part, True, image_bchw.swapaxes(2, 3)).swapaxes(2, 3)


class Backend(Protocol):
    """A model on a runtime. Both calls may come from several threads at once."""

    @property
    def info(self) -> BackendInfo:
        """Runtime, device, precision, weights, and the side S of the model's square."""

    def encode(self, image_bchw: F32) -> F32:
        """Normalised, padded photo (1, 3, S, S) -> embedding (1, 256, S/16, S/16), float32.

        Of a photo cut to (1, 3, 16h, S) or (1, 3, S, 16h), h one of `info.cuts`, the upper or left part of the
        embedding, h rows or columns or some more: what is cut off counts as blank.
        """

    def decode(
        self, features_bchw: F32, coords_bn2: F32, labels_bn: F32, mask_b1hw: F32 | None = None
    ) -> tuple[F32, F32]:
        """B prompts of N tokens on one embedding -> logits (B, 4, S/4, S/4) and predicted IoU (B, 4).

        Without a mask, `features_bchw` may also be a smaller map (1, 256, H, W), averaged or cut, whose
        longer side spans the model's square; the logits are then (B, 4, 4H, 4W). (Not with `whole_maps_only`.)

        Coordinates are pixels of the model's square; labels are 1 (object), 0 (not this), 2 and 3 (a
        box's corners), -1 (padding); N may be 0 where a mask is given. `mask_b1hw` are earlier logits
        (B, 1, S/4, S/4). Mask 0 of the four is the single-mask output, 1 to 3 are the ambiguous ones.
        """
