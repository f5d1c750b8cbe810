"""Results: the masks of one photo, as a value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from . import plot
from .errors import InputError
from .files import PICTURES, kind_of, write_picture, write_text
from .geometry import Letterbox
from .masks import Polygon, box_of, boxes_of, polygons_of, rle_encode
from .types import F32, HW, U8, AnyArray, Bool, Int

MASK_THRESHOLD = 0.0
SUFFIXES = {
    "overlay": PICTURES,
    "mask": PICTURES,
    "cutout": (".png", ".webp", ".tif", ".tiff"),  # formats with alpha
    "json": (".json",),
}


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """N masks of one photo. Sizes are the photo's; full-size masks are computed when first asked for."""

    low_res: F32
    """Logits (N, 256, 256); one of them may be passed back as `masks=`."""
    iou: F32
    """Predicted IoU (N,), about 0 to 1: the model's own guess of how good each mask is."""
    prompt_index: Int
    """Which prompt each mask answers (N,)."""
    letterbox: Letterbox
    image: U8 | None = None
    """The photo (H, W, 3), RGB."""
    path: Path | None = None
    name: str = "image0"
    classes: Int | None = None
    """Which of `names` each mask is (N,), where the checkpoint has classes."""
    class_scores: F32 | None = None
    """The class's probability (N,), where the checkpoint has classes."""
    names: tuple[str, ...] | None = None
    """The checkpoint's classes."""

    @property
    def orig_shape(self) -> HW:
        """Size of the photo as (height, width)."""
        return self.letterbox.image_hw

    def logits(self, index: int) -> F32:
        """Full-size logits (H, W) of one mask; above 0 is inside."""
        return self.letterbox.upsample(self.low_res[index])

    @cached_property
    def masks(self) -> Bool:
        """Masks (N, H, W)."""
        masks = np.empty((len(self), *self.orig_shape), bool)
        for i in range(len(self)):
            np.greater(self.logits(i), MASK_THRESHOLD, out=masks[i])
        return masks

    def iter_masks(self) -> Iterator[Bool]:
        """The masks (H, W) one after another, of which only one is held, unless `masks` has them all already."""
        made = self.__dict__.get("masks")
        for i in range(len(self)):
            yield self.logits(i) > MASK_THRESHOLD if made is None else made[i]

    @cached_property
    def boxes(self) -> F32:
        """Boxes (N, 4) of the masks, xyxy pixel edges; zeros for an empty mask."""
        return self._extents[0]

    @cached_property
    def areas(self) -> Int:
        """Pixels of each mask (N,)."""
        return self._extents[1]

    @cached_property
    def _extents(self) -> tuple[F32, Int]:
        found = [(box_of(mask), np.count_nonzero(mask)) for mask in self.iter_masks()]
        boxes, areas = [box for box, _ in found], [area for _, area in found]
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(areas, np.int64)

    def __len__(self) -> int:
        return len(self.low_res)

    def __getitem__(self, index: int | slice | AnyArray) -> Results:
        """Some of the masks: by number, slice, or an array of numbers or booleans."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return replace(
            self,
            low_res=self.low_res[chosen],
            iou=self.iou[chosen],
            prompt_index=self.prompt_index[chosen],
            classes=None if self.classes is None else self.classes[chosen],
            class_scores=None if self.class_scores is None else self.class_scores[chosen],
        )

    def __iter__(self) -> Iterator[Results]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.orig_shape
        scores = ", ".join(f"{score:.2f}" for score in self.iou[:8])
        more = ", ..." if len(self) > 8 else ""
        count = f"{len(self)} mask{'s' * (len(self) != 1)}"
        return f"Results(name={self.name!r}, {count} of {height}x{width}, iou=[{scores}{more}])"

    def best(self) -> Results:
        """For each prompt, in order, its mask with the highest predicted IoU."""
        order = np.lexsort((-self.iou, self.prompt_index))
        first = np.unique(self.prompt_index[order], return_index=True)[1]
        return self[order[first]]

    def polygons(self, tolerance: float = 0.0) -> list[list[Polygon]]:
        """Each mask's regions as polygons with holes; see `masks.polygons_of`."""
        return [polygons_of(mask, tolerance=tolerance) for mask in self.iter_masks()]

    def rle(self) -> list[dict[str, Any]]:
        """Each mask in COCO's compressed run lengths."""
        return [rle_encode(mask) for mask in self.iter_masks()]

    def to_dicts(self) -> list[dict[str, Any]]:
        """One plain dict a mask: prompt, box (xyxy), area, iou (predicted), rle, and class, class_score where known."""
        return [
            {
                "prompt": int(self.prompt_index[i]),
                "box": self.boxes[i].tolist(),
                "area": int(self.areas[i]),
                "iou": round(float(self.iou[i]), 6),
                "rle": rle,
                **self._class(i),
            }
            for i, rle in enumerate(self.rle())
        ]

    def _class(self, index: int) -> dict[str, Any]:
        if self.classes is None or self.class_scores is None or self.names is None:
            return {}
        score = round(float(self.class_scores[index]), 6)
        return {"class": self.names[self.classes[index]], "class_score": score}

    def to_json(self, *, polygons: bool = False, indent: int | None = None) -> str:
        """One JSON object: name, path, height, width, masks; with `polygons` their outlines too."""
        records = self.to_dicts()
        if polygons:
            for record, regions in zip(records, self.polygons(), strict=True):
                record["polygons"] = [
                    {"exterior": r.exterior.tolist(), "holes": [hole.tolist() for hole in r.holes]} for r in regions
                ]
        height, width = self.orig_shape
        path = str(self.path) if self.path else None
        document = {"name": self.name, "path": path, "height": height, "width": width, "masks": records}
        return json.dumps(document, indent=indent)

    def plot(self, *, boxes: bool = False, alpha: float = 0.5) -> U8:
        """The photo with the masks over it (H, W, 3). Raises InputError where there is no photo."""
        return plot.draw(self._photo(), self.masks, boxes=self.boxes if boxes else None, alpha=alpha)

    def cutout(self, index: int | None = None, *, crop: bool = False) -> U8:
        """What the masks (or one of them) cover, as RGBA (H, W, 4): clear outside; `crop` to its box.

        Raises InputError where there is no photo.
        """
        mask = self._union() if index is None else self.masks[index]
        rgba = np.zeros((*self.orig_shape, 4), np.uint8)
        rgba[mask, :3] = self._photo()[mask]
        rgba[..., 3] = mask * np.uint8(255)
        if not crop:
            return rgba
        x1, y1, x2, y2 = boxes_of(mask[None])[0].astype(int)
        return rgba[y1:y2, x1:x2]

    def save(self, path: str | Path, kind: str | None = None) -> Path:
        """Write "overlay", "mask" (union, 0 and 255), "cutout" (with alpha) or "json"; returns the path.

        Without `kind` a .json name gets JSON, any other the overlay. Written atomically.
        Raises InputError for a kind or suffix that doesn't fit, OutputError where it can't be written.
        """
        target = Path(path)
        kind = kind_of(target, kind, SUFFIXES)
        if kind == "json":
            write_text(target, self.to_json(indent=2))
        else:
            write_picture(target, self._picture(kind))
        return target

    def _picture(self, kind: str) -> U8:
        if kind == "mask":
            return self._union() * np.uint8(255)
        return self.cutout() if kind == "cutout" else self.plot()

    def _union(self) -> Bool:
        return np.asarray(self.masks.any(axis=0))

    def _photo(self) -> U8:
        if self.image is None:
            raise InputError("This result has no photo (its embedding was made without); use masks instead.")
        return self.image
