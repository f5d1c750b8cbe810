"""The contract of all exports: two files, what goes in, what comes out, in which order, type, shape and range.

Everything is float32. S is the side of the model's square (1024), B a number of prompts, N of points. A photo lies in
the square's upper left: it is resized so that its longer side is S, normalised, and padded with zeros on the right and
below. Coordinates are the square's pixels (x, y); a photo's own are multiplied by S / longer side.
"""

from __future__ import annotations

from dataclasses import dataclass

PADDING, ABSENT = -1, -2
"""Labels: SAM's padding point, which goes with clicks that have no box; and a token that isn't there at all."""

Axis = int | str


@dataclass(frozen=True)
class Tensor:
    """One input or output."""

    name: str
    axes: tuple[Axis, ...]
    meaning: str

    def shape(self, sizes: dict[str, int | None]) -> list[Axis]:
        """The axes as numbers, where `sizes` has one; else their names.

        >>> Tensor("coords", ("B", "N", 2), "").shape({"B": 1, "N": None})
        [1, 'N', 2]
        """
        return [size if isinstance(axis, str) and (size := sizes.get(axis)) else axis for axis in self.axes]


@dataclass(frozen=True)
class Part:
    """One network of two."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


CONTRACT: dict[str, Part] = {
    "encoder": Part(
        (Tensor("image", (1, 3, "S", "S"), "RGB, (value - mean) / std of 0..255, zeros right of and below the photo"),),
        (Tensor("features", (1, 256, "S/16", "S/16"), "the embedding: once a photo"),),
    ),
    "decoder": Part(
        (
            Tensor("features", (1, 256, "S/16", "S/16"), "the encoder's"),
            Tensor("coords", ("B", "N", 2), "(x, y) in pixels of the square; a box is its two corners"),
            Tensor(
                "labels",
                ("B", "N"),
                f"1 object, 0 not this, 2 and 3 a box's upper left and lower right corner, {PADDING} the padding point "
                f"that SAM adds to clicks without a box, {ABSENT} no point at all (to fill up a fixed N)",
            ),
            Tensor("mask", ("B", 1, "S/4", "S/4"), "earlier logits of the same photo, or zeros"),
            Tensor("has_mask", (1,), "1 where mask counts, 0 where it doesn't"),
        ),
        (
            Tensor(
                "logits", ("B", 4, "S/4", "S/4"), "mask where above 0; 0 is the single mask, 1 to 3 the ambiguous ones"
            ),
            Tensor("iou", ("B", 4), "predicted IoU of each"),
        ),
    ),
}


def sizes(img_size: int, prompts: int | None, points: int | None) -> dict[str, int | None]:
    """What the axes' names stand for; None for a free axis."""
    return {"S": img_size, "S/4": img_size // 4, "S/16": img_size // 16, "B": prompts, "N": points}
