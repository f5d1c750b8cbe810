"""Scene: all masks of one photo, as everything mode finds them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import plot
from .errors import InputError
from .everything import Candidate
from .files import PICTURES, kind_of, write_picture, write_text
from .masks import rle_encode
from .types import F32, HW, U8, Bool, Int

OutputMode = Literal["binary_mask", "coco_rle", "uncompressed_rle"]
OUTPUT_MODES = ("binary_mask", "coco_rle", "uncompressed_rle")
SUFFIXES = {"overlay": PICTURES, "labels": (".png",), "json": (".json",)}


@dataclass(frozen=True, eq=False, repr=False)
class Scene(Sequence[dict[str, Any]]):
    """N masks of one photo, the model's best first; as a sequence, Meta's records.

    A record has Meta's keys: segmentation (by `output_mode`), area, bbox (x, y, width, height, with
    inclusive ends as Meta counts), predicted_iou, point_coords, stability_score, crop_box.
    """

    candidates: list[Candidate]
    image_hw: HW
    image: U8 | None = None
    name: str = "image0"
    path: Path | None = None
    output_mode: OutputMode = "binary_mask"

    def __len__(self) -> int:
        return len(self.candidates)

    def __getitem__(self, index: Any) -> Any:
        """The record of one mask, or the records of a slice."""
        if isinstance(index, slice):
            return [self._record(candidate) for candidate in self.candidates[index]]
        return self._record(self.candidates[index])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._record(candidate) for candidate in self.candidates)

    def __repr__(self) -> str:
        height, width = self.image_hw
        return f"Scene(name={self.name!r}, {len(self)} masks of {height}x{width})"

    @cached_property
    def masks(self) -> Bool:
        """All masks (N, H, W); each is kept in its own window until this is asked for."""
        masks = np.zeros((len(self), *self.image_hw), bool)
        for mask, candidate in zip(masks, self.candidates, strict=True):
            x1, y1, x2, y2 = candidate.window
            mask[y1:y2, x1:x2] = candidate.inside
        return masks

    @property
    def areas(self) -> Int:
        """Pixels of each mask (N,)."""
        return np.array([candidate.area for candidate in self.candidates], np.int64)

    @property
    def boxes(self) -> F32:
        """Boxes (N, 4) of the masks, xyxy pixel edges, as in Results."""
        return np.array([candidate.window for candidate in self.candidates], np.float32).reshape(-1, 4)

    def label_map(self) -> Int:
        """Each pixel's mask (H, W): 0 for none, i + 1 for mask i; where masks overlap, the smallest."""
        labels = np.zeros(self.image_hw, np.int64)
        for i in np.argsort(-self.areas, kind="stable"):
            x1, y1, x2, y2 = self.candidates[i].window
            labels[y1:y2, x1:x2][self.candidates[i].inside] = i + 1
        return labels

    def plot(self, *, alpha: float = 0.5) -> U8:
        """The photo with every mask in its colour, small ones over large ones (H, W, 3).

        Raises InputError where there is no photo.
        """
        if self.image is None:
            raise InputError("This scene has no photo (its embedding was made without); use masks instead.")
        labels = self.label_map()
        colours = np.array([(0, 0, 0), *(plot.colour(i) for i in range(len(self)))], np.float32)
        mixed = np.round(self.image * (1 - alpha) + colours[labels] * alpha)
        picture = np.where(labels[..., None] > 0, mixed, self.image).astype(np.uint8)
        edges = (labels != np.roll(labels, 1, axis=0)) | (labels != np.roll(labels, 1, axis=1))
        edges[0], edges[:, 0] = False, False
        picture[edges] = 255
        return picture

    def to_json(self, *, indent: int | None = None) -> str:
        """One JSON object: name, path, height, width, and the records with COCO run lengths."""
        height, width = self.image_hw
        records = [self._record(candidate, "coco_rle") for candidate in self.candidates]
        path = str(self.path) if self.path else None
        document = {"name": self.name, "path": path, "height": height, "width": width, "masks": records}
        return json.dumps(document, indent=indent)

    def save(self, path: str | Path, kind: str | None = None) -> Path:
        """Write "overlay", "labels" (a 16-bit PNG of `label_map`) or "json"; returns the path.

        Without `kind` a .json name gets JSON, any other the overlay. Written atomically.
        Raises InputError for a kind or suffix that doesn't fit, OutputError where it can't be written.
        """
        target = Path(path)
        kind = kind_of(target, kind, SUFFIXES)
        if kind == "json":
            write_text(target, self.to_json(indent=2))
        else:
            write_picture(target, self.plot() if kind == "overlay" else self.label_map().astype(np.uint16))
        return target

    def _record(self, candidate: Candidate, mode: OutputMode | None = None) -> dict[str, Any]:
        mask = candidate.mask(self.image_hw)
        x1, y1, x2, y2 = candidate.box
        left, top, right, bottom = candidate.crop
        return {
            "segmentation": _segmentation(mask, mode or self.output_mode),
            "area": candidate.area,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "predicted_iou": candidate.predicted_iou,
            "point_coords": [list(candidate.point)],
            "stability_score": candidate.stability_score,
            "crop_box": [left, top, right - left, bottom - top],
        }


def _segmentation(mask: Bool, mode: OutputMode) -> Any:
    if mode == "binary_mask":
        return mask
    if mode == "coco_rle":
        return rle_encode(mask)
    column_order = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(column_order)) + 1
    edges = np.concatenate([[0], changes, [column_order.size]])
    counts = np.diff(edges).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if column_order[0] else counts}
