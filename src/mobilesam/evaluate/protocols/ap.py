"""I. Instance segmentation AP from a detector's boxes, by pycocotools' and lvis' rules (detection.py).

TinySAM (Shu et al. 2023) and EfficientViT-SAM: each box gives the mask with the highest predicted IoU of three, class
and score stay the detector's: "ap". EdgeSAM takes the single output: "ap-single". SAM (appendix D.4) feeds the best
mask's logits back once with the box: "ap-sam". Boxes are COCO results (image_id, category_id, bbox, score), such as
coco_instances_results_vitdet.json of TinySAM's releases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, SourceNotFoundError
from ...masks import rle_encode
from ...types import F32
from ..datasets import Dataset
from ..detection import average_precision
from .base import Case, Figure, Protocol, Row, box_prompt, click_prompt


@dataclass(frozen=True)
class AveragePrecision(Protocol):
    """Masks of a detector's boxes, and their AP and boundary AP."""

    name: str
    title: str
    boxes: Path | None
    of_three: bool = True
    refine: bool = False
    needs_objects = False  # masks on a photo without objects are mistakes

    def check(self, dataset: Dataset) -> None:
        """Raises InputError without boxes, or for a set that isn't COCO's or LVIS' JSON with categories."""
        if self.boxes is None:
            raise InputError(f"Protocol {self.name} needs a detector's boxes; pass --boxes FILE (COCO results JSON).")
        if dataset.coco is None:
            raise InputError(f"Protocol {self.name} needs COCO's or LVIS' JSON, {dataset.name} is {dataset.layout}.")
        if any("category_id" not in a for a in dataset.coco["annotations"]) or not dataset.coco.get("categories"):
            raise InputError(
                f"{dataset.name} has annotations without category_id, or no categories: AP is by category."
            )
        known = {image["id"] for image in dataset.coco["images"]}
        if not known & set(self.detections):
            raise InputError(f"{self.boxes} has no box for any photo of {dataset.name}: it is of another data set.")

    @cached_property
    def detections(self) -> dict[int, list[dict[str, Any]]]:
        """The detector's boxes by photo."""
        if self.boxes is None or not self.boxes.is_file():
            raise SourceNotFoundError(f"No file {str(self.boxes)!r} of boxes.")
        found: dict[int, list[dict[str, Any]]] = {}
        try:
            for item in json.loads(self.boxes.read_text(encoding="utf-8")):
                one = {key: item[key] for key in ("image_id", "category_id", "bbox", "score")}
                found.setdefault(one["image_id"], []).append(one)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.boxes} isn't COCO results: a list of image_id, category_id, bbox, score ({error!r})."
            ) from error
        return found

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows: one row, with the masks."""
        boxes = self.detections.get(case.coco_id, []) if case.coco_id is not None else []
        if not boxes:
            return [Row("", 0.0, {}, extra={"detections": []})]
        corners = [np.array([x, y, x + w, y + h], np.float32) for x, y, w, h in (item["bbox"] for item in boxes)]
        results = case.predict([box_prompt(box) for box in corners], self.of_three)
        logits: F32 = results.low_res
        if self.refine:
            again = [click_prompt([], box=box, mask=mask) for box, mask in zip(corners, logits, strict=True)]
            logits = case.predict(again).low_res
        found = [
            {**{k: item[k] for k in ("image_id", "category_id", "score")}, "segmentation": rle_encode(case.full(mask))}
            for item, mask in zip(boxes, logits, strict=True)
        ]
        return [Row("", 0.0, {}, extra={"detections": found})]

    def figures(self, rows: Sequence[Row], dataset: Dataset) -> list[Figure]:
        """AP by pycocotools or lvis, over the photos that were measured."""
        photos = {row.photo for row in rows}
        measured = [photo.coco_id for photo in dataset.photos if photo.key in photos and photo.coco_id is not None]
        detections = [item for row in rows for item in row.extra["detections"]]
        found = []
        for kind in ("AP", "boundary AP"):
            values = average_precision(
                dataset.coco or {}, detections, measured, is_lvis=dataset.layout == "lvis", by_boundary=kind != "AP"
            )
            for (score, size), (value, low, high) in values.items():
                name = score.replace("AP", kind)
                found.append(Figure(dataset.name, self.name, name, size, value, low, high, len(measured)))
        return found
