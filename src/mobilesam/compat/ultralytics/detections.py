"""Boxes and classes that a detector found, from the many forms in which detectors give them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...errors import InputError, SourceNotFoundError
from ...types import F32, HW, AnyArray, Int
from .tensors import array_of

Detector: TypeAlias = Callable[[Path, HW], "Detections"]
"""A photo's path and size (height, width) -> what was found on it."""
FORMS = (
    "boxes (N, 4) xyxy, (boxes, classes) or (boxes, classes, conf), "
    "an object with boxes.xyxy (Ultralytics), or with xyxy and class_id (supervision)"
)


@dataclass(frozen=True, eq=False)
class Detections:
    """N boxes of one photo."""

    boxes: F32
    """(N, 4) xyxy, in pixels."""
    classes: Int
    """(N,)"""
    conf: F32
    """(N,); 1 where the detector gives none."""

    def __getitem__(self, rows: AnyArray) -> Detections:
        return Detections(self.boxes[rows], self.classes[rows], self.conf[rows])


def of(boxes: Any, classes: Any = None, conf: Any = None) -> Detections:
    """Detections of boxes; without classes all are 0. Raises InputError where the shapes don't fit."""
    try:
        corners = np.asarray(array_of(boxes), np.float32)
        corners = corners.reshape(-1, 4) if corners.size == 0 else corners
        numbers = np.zeros(len(corners), np.int64) if classes is None else np.asarray(array_of(classes), np.int64)
        scores = np.ones(len(corners), np.float32) if conf is None else np.asarray(array_of(conf), np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"Can't read the detector's answer ({error}); it should be {FORMS}.") from error
    if corners.ndim != 2 or corners.shape[1] != 4 or not numbers.shape == scores.shape == (len(corners),):
        shapes = f"{corners.shape}, {numbers.shape}, {scores.shape}"
        raise InputError(f"Boxes, classes and conf must be (N, 4), (N,) and (N,), got {shapes}.")
    return Detections(corners, numbers, scores)


def read(answer: Any) -> Detections:
    """What a detector's answer for one photo says: any of `FORMS`, or a list of one. Raises InputError.

    >>> read(([[1, 2, 3, 4]], [7])).classes.tolist()
    [7]
    """
    if isinstance(answer, (list, tuple)) and len(answer) == 1 and not isinstance(answer[0], (list, tuple, np.ndarray)):
        answer = answer[0]
    if hasattr(answer, "boxes"):
        found = answer.boxes
        return of(np.zeros((0, 4))) if found is None else of(found.xyxy, found.cls, found.conf)
    if hasattr(answer, "xyxy"):
        return of(answer.xyxy, getattr(answer, "class_id", None), getattr(answer, "confidence", None))
    if isinstance(answer, tuple) and len(answer) in (2, 3):
        return of(*answer)
    if answer is None:
        raise InputError(f"The detector gave None; it should be {FORMS}.")
    return of(answer)


def detector_of(detector: Any) -> Detector:
    """A function, a detections file or a folder of YOLO labels as one function. Raises InputError, SourceNotFoundError.

    A file is JSON: {photo: [[x1, y1, x2, y2, class, conf], ...]} (conf may lack), COCO instances, whose classes are
    numbered by category id from 0, or COCO detections, whose category ids are the classes.
    """
    if callable(detector):
        return lambda path, _: read(detector(str(path)))
    if not isinstance(detector, (str, Path)):
        raise InputError(f"detector must be a function or a file of detections, got {type(detector).__name__}.")
    source = Path(detector)
    if source.is_dir():
        return lambda path, hw: _from_yolo(source / f"{path.stem}.txt", hw)
    table = _table(source)
    return lambda path, _: _looked_up(table, path)


def _table(file: Path) -> dict[str, Detections]:
    """Photo's file name, or its number as text -> what was found on it."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(content, list):
            return _grouped((str(row["image_id"]), row["bbox"], row["category_id"], row["score"]) for row in content)
        if "annotations" in content and "images" in content:
            return _from_instances(content)
        return {Path(name).name: _from_rows(rows) for name, rows in content.items()}
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"No detections at {str(file)!r}. Check the path.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{file} is no file of detections ({error!r}). It should be JSON, "
            "{photo: [[x1, y1, x2, y2, class, conf], ...]} or COCO's."
        ) from error


def _from_instances(content: Mapping[str, Any]) -> dict[str, Detections]:
    names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
    ids = {row["category_id"] for row in content["annotations"]} | {c["id"] for c in content.get("categories", [])}
    number = {category: i for i, category in enumerate(sorted(ids))}
    rows = content["annotations"]
    return _grouped(
        (names[row["image_id"]], row["bbox"], number[row["category_id"]], row.get("score", 1.0)) for row in rows
    )


def _grouped(rows: Any) -> dict[str, Detections]:
    """COCO's rows (photo, xywh, class, conf) photo by photo."""
    found: dict[str, list[list[float]]] = {}
    for photo, (x, y, width, height), number, conf in rows:
        found.setdefault(photo, []).append([x, y, x + width, y + height, number, conf])
    return {photo: _from_rows(values) for photo, values in found.items()}


def _from_rows(rows: Any) -> Detections:
    """Rows x1, y1, x2, y2, class and perhaps conf."""
    array = np.asarray(rows, np.float64)
    if array.size == 0:
        return of(np.zeros((0, 4)))
    if array.ndim != 2 or array.shape[1] not in (5, 6):
        raise InputError(f"A row of detections is x1, y1, x2, y2, class and perhaps conf, got shape {array.shape}.")
    return of(array[:, :4], array[:, 4], array[:, 5] if array.shape[1] == 6 else None)


def _looked_up(table: Mapping[str, Detections], path: Path) -> Detections:
    stem = path.stem
    for key in (path.name, stem, str(int(stem)) if stem.isdecimal() else stem):
        if key in table:
            return table[key]
    return of(np.zeros((0, 4)))


def _from_yolo(file: Path, hw: HW) -> Detections:
    """Lines class, centre x, centre y, width, height in 0..1, perhaps conf; no file means no boxes."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    try:
        array = np.array([[float(word) for word in line.split()] for line in lines if line.strip()], np.float64)
    except ValueError as error:
        raise InputError(f"{file} holds no YOLO boxes: {error}.") from error
    if not len(array):
        return of(np.zeros((0, 4)))
    if array.shape[1] not in (5, 6):
        raise InputError(f"{file} must have 5 or 6 numbers a line (class, x, y, width, height, conf).")
    centre, size = array[:, 1:3], array[:, 3:5]
    scale = np.array([hw[1], hw[0]] * 2)
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1) * scale
    return of(corners, array[:, 0], array[:, 5] if array.shape[1] == 6 else None)
