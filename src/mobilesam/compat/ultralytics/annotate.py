"""auto_annotate: a detector's boxes over a folder of photos -> YOLO segmentation labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError, PromptError
from ...files import write_text
from ...sources import iter_pictures
from ...types import U8
from .boxes import Masks
from .detections import Detections, detector_of
from .weights import Weights

if TYPE_CHECKING:
    from ...model import SAM


def auto_annotate(
    data: str | Path,
    det_model: Any = None,
    sam_model: Any = "mobilesam",
    device: Any = "",
    conf: float = 0.25,
    iou: float = 0.45,  # noqa: ARG001  # Ultralytics' signature
    imgsz: int = 640,  # noqa: ARG001  # as above
    max_det: int = 300,
    classes: Sequence[int] | None = None,
    output_dir: str | Path | None = None,
    *,
    detector: Any = None,
) -> Path:
    """Labels for the photos of `data`: <stem>.txt in <data>_auto_annotate_labels, or `output_dir`; returns the folder.

    A line is the class of a box, then the outline of the mask in it, x and y in 0..1. `detector` is a function
    from a photo's path to its boxes, in a form of `detections.FORMS` (so a YOLO model of Ultralytics, called as it
    is), a JSON file of detections, or a folder of YOLO box labels. Boxes below `conf`, of classes not in
    `classes`, and beyond the best `max_det` are left out; `iou` and `imgsz` are the detector's own affair.
    A photo without boxes gets no file; each file appears whole or not at all.

    Raises InputError (no detector, one that gives something else, a file without any of the photos), PromptError for a
    box outside its photo, SourceNotFoundError, ImageError, OutputError.
    """
    if detector is None or det_model is not None:
        raise InputError(
            f"There are no detection models here, so det_model={det_model!r} is of no use: pass detector=, a function "
            "from a photo's path to its boxes, or a file of detections."
        )
    folder = Path(output_dir) if output_dir else Path(data).parent / f"{Path(data).stem}_auto_annotate_labels"
    detect, sam = detector_of(detector), Weights(sam_model).on(device)
    found_any = False
    for picture in iter_pictures(data):
        image = picture.load()
        found = detect(picture.path or Path(picture.name), (image.shape[0], image.shape[1]))
        found_any |= len(found.boxes) > 0
        found = _wanted(found, conf, classes, max_det)
        if len(found.boxes):
            try:
                text = _lines(sam, image, found)
            except PromptError as error:
                raise PromptError(f"{picture.name}: {error}") from error
            write_text(folder / f"{Path(picture.name).stem}.txt", text)
    if not (found_any or callable(detector)):
        raise InputError(f"{detector} has no box for any photo of {data}; do the file names fit?")
    return folder


def _wanted(found: Detections, conf: float, classes: Sequence[int] | None, max_det: int) -> Detections:
    keep = found.conf >= conf
    if classes is not None:
        keep &= np.isin(found.classes, classes)
    rows = np.flatnonzero(keep)
    return found[np.sort(rows[np.argsort(-found.conf[rows], kind="stable")[:max_det]])]


def _lines(sam: SAM, image: U8, found: Detections) -> str:
    """A line a box, with its own class; an empty mask has no outline, so no line. One mask is held at a time."""
    (result,) = sam.predict(image, bboxes=found.boxes)
    lines = []
    for number, one in zip(found.classes.tolist(), result, strict=True):
        (outline,) = Masks(one.masks, one.orig_shape).xyn
        if len(outline):
            lines.append(" ".join([str(number), *(f"{value:.6f}" for value in outline.reshape(-1))]))
    return "".join(f"{line}\n" for line in lines)
