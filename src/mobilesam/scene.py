"""Scene: all masks of one photo, as everything mode finds them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import formats, plot
from .errors import InputError
from .everything import Candidate, Overlap
from .files import PICTURES, atomic_folder, kind_of, write_picture, write_text
from .masks import rle_counts
from .types import F32, HW, U8, AnyArray, Bool, Int, Labels

OutputMode = Literal["binary_mask", "coco_rle", "uncompressed_rle"]
OUTPUT_MODES = ("binary_mask", "coco_rle", "uncompressed_rle")
SUFFIXES = {
    "overlay": PICTURES,
    "json": (".json",),
    "labels": (".png",),
    "masks": ("",),
    "coco": (".json",),
    "coco-polygons": (".json",),
    "yolo": (".txt",),
    "labelme": (".json",),
    "geojson": (".geojson", ".json"),
}
"""What a scene can be saved as; without a kind the first one that has the suffix is written."""
MOST_LABELS = 65535


@dataclass(frozen=True, eq=False, repr=False)
class Scene(Sequence[dict[str, Any]]):
    """N masks of one photo, the model's best first; as a sequence, Meta's records.

    A record has Meta's keys: segmentation (by `output_mode`), area, bbox (x, y, width, height, with
    inclusive ends as Meta counts), predicted_iou, point_coords, stability_score, crop_box. With
    overlap="hierarchy" it has two more: id, and parent_id (None for a mask that lies in no other).
    """

    candidates: list[Candidate]
    image_hw: HW
    image: U8 | None = None
    name: str = "image0"
    path: Path | None = None
    output_mode: OutputMode = "binary_mask"
    overlap: Overlap = "all"

    def __len__(self) -> int:
        return len(self.candidates)

    def __getitem__(self, index: Any) -> Any:
        """The record of one mask, or the records of a slice."""
        if isinstance(index, slice):
            return [self.record(i) for i in range(len(self))[index]]
        return self.record(range(len(self))[index])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.record(i) for i in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.image_hw
        return f"Scene(name={self.name!r}, {len(self)} mask{'s' * (len(self) != 1)} of {height}x{width})"

    @cached_property
    def masks(self) -> Bool:
        """All masks (N, H, W); each is kept in its own window until this is asked for."""
        masks = np.zeros((len(self), *self.image_hw), bool)
        for i, candidate in enumerate(self.candidates):
            masks[i] = candidate.mask(self.image_hw)
        return masks

    @property
    def areas(self) -> Int:
        """Pixels of each mask (N,)."""
        return np.array([candidate.area for candidate in self.candidates], np.int64)

    @property
    def boxes(self) -> F32:
        """Boxes (N, 4) of the masks, xyxy pixel edges, as in Results."""
        return np.array([candidate.window for candidate in self.candidates], np.float32).reshape(-1, 4)

    def label_map(self) -> Labels:
        """Each pixel's mask (H, W): 0 for none, i + 1 for mask i; where masks overlap, the smallest."""
        labels = np.zeros(self.image_hw, np.int32)
        for i in np.argsort(-self.areas, kind="stable"):
            x1, y1, x2, y2 = self.candidates[i].window
            labels[y1:y2, x1:x2][self.candidates[i].inside] = i + 1
        return labels

    def with_photo(self, image: U8) -> Scene:
        """This scene with the photo (H, W, 3) that it was made without, for overlays.

        Raises InputError where the size is another.
        """
        if image.shape[:2] != self.image_hw:
            raise InputError(f"The photo is {image.shape[:2]}, the scene {self.image_hw} (height, width).")
        return replace(self, image=image)

    def plot(self, *, alpha: float = 0.5) -> U8:
        """The photo with every mask in its colour, small ones over large ones (H, W, 3).

        Raises InputError where there is no photo.
        """
        if self.image is None:
            raise InputError(
                "This scene has no photo (made by tiles, or from an embedding without); add it by with_photo()."
            )
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
        records = [self.record(i, "coco_rle") for i in range(len(self))]
        path = str(self.path) if self.path else None
        document = {"name": self.name, "path": path, "height": height, "width": width, "masks": records}
        return json.dumps(document, indent=indent)

    def save(self, path: str | Path, kind: str | None = None) -> Path:
        """Write one of `SUFFIXES`' kinds; returns the path.

        "overlay" is `plot`, "labels" `label_map` as a 16-bit PNG, "masks" a folder with one PNG a mask (0 and
        255), and mobilesam.formats describes the others. Written atomically. Without `kind` the suffix
        decides: .json JSON, .txt YOLO, .geojson GeoJSON, none a folder of masks, any other the overlay.
        Raises InputError for a kind or suffix that doesn't fit, OutputError where it can't be written.
        """
        target = Path(path)
        kind = kind_of(target, kind, SUFFIXES)
        if kind == "json":
            write_text(target, self.to_json(indent=2))
        elif kind in formats.DOCUMENTS:
            document = formats.DOCUMENTS[kind](self)
            write_text(target, document if isinstance(document, str) else json.dumps(document))
        elif kind == "masks":
            with atomic_folder(target) as part:
                for i, candidate in enumerate(self.candidates):
                    write_picture(part / f"{i:05d}.png", candidate.mask(self.image_hw) * np.uint8(255))
        else:
            write_picture(target, self.plot() if kind == "overlay" else self._labels_16())
        return target

    def _labels_16(self) -> AnyArray:
        if len(self) > MOST_LABELS:
            raise InputError(f"A 16-bit label map holds {MOST_LABELS} masks, this scene has {len(self)}; save as json.")
        return self.label_map().astype(np.uint16)

    def record(self, index: int, mode: OutputMode | None = None) -> dict[str, Any]:
        """Meta's record of one mask, its segmentation by `mode` or by the scene's own output_mode."""
        candidate = self.candidates[index]
        x1, y1, x2, y2 = candidate.box
        left, top, right, bottom = candidate.crop
        record = {
            "segmentation": self._segmentation(candidate, mode or self.output_mode),
            "area": candidate.area,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "predicted_iou": candidate.predicted_iou,
            "point_coords": [list(candidate.point)],
            "stability_score": candidate.stability_score,
            "crop_box": [left, top, right - left, bottom - top],
        }
        return {**record, "id": index, "parent_id": candidate.parent} if self.overlap == "hierarchy" else record

    def _segmentation(self, candidate: Candidate, mode: OutputMode) -> Any:
        if mode == "binary_mask":
            return candidate.mask(self.image_hw)
        if mode == "coco_rle":
            return formats.rle(candidate, self.image_hw)
        counts = rle_counts(candidate.inside, candidate.window[:2], self.image_hw)
        return {"size": list(self.image_hw), "counts": counts}
