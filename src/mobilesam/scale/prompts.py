"""Boxes for many pictures, from a file: COCO annotations or detections, or a line of JSON a picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from .entries import Entry

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in original pixels."""


def read_boxes(path: str | Path) -> dict[str, list[Box]]:
    """The boxes of each picture, by the name (or COCO's number) that the file gives it, in the file's order.

    Three forms: COCO annotations ("images", "annotations"), COCO detections (a list with "image_id" and "bbox"), and
    JSON lines {"image": name, "boxes": [[x1, y1, x2, y2], ...]}. Raises InputError for anything else.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
        pairs = list(_pairs(text))
        found: dict[str, list[Box]] = {}
        for name, box in pairs:
            x1, y1, x2, y2 = (float(value) for value in box)
            found.setdefault(name, []).append((x1, y1, x2, y2))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"The boxes in {source} can't be read ({type(error).__name__}: {error}). Give COCO annotations or "
            'detections, or lines of {"image": name, "boxes": [[x1, y1, x2, y2], ...]}.'
        ) from error
    return found


def matched(boxes: dict[str, list[Box]], entries: Sequence[Entry]) -> tuple[list[tuple[Entry, list[Box]]], list[str]]:
    """The pictures that have boxes, in their order, and the file's names that no picture has.

    A name means the picture of that name, or whose last part, stem, or number (COCO's ids) it is.
    Raises InputError where it means several.
    """
    known: dict[str, set[int]] = {}
    for i, entry in enumerate(entries):
        for key in _keys(entry):
            known.setdefault(key, set()).add(i)
    chosen: dict[int, list[Box]] = {}
    unmatched = []
    for name, mine in boxes.items():
        places = known.get(name, set())
        if len(places) > 1:
            listed = ", ".join(entries[i].name for i in sorted(places)[:3])
            raise InputError(
                f"The name {name!r} of the boxes means {len(places)} pictures ({listed}); give more of it."
            )
        for i in places:
            chosen.setdefault(i, []).extend(mine)
        if not places:
            unmatched.append(name)
    return [(entry, chosen[i]) for i, entry in enumerate(entries) if i in chosen], unmatched


def _keys(entry: Entry) -> Iterable[str]:
    path = PurePosixPath(entry.name)
    keys = {entry.name, path.name, path.stem, entry.file.as_posix() if entry.member is None else entry.name}
    return keys | ({str(int(path.stem))} if path.stem.isdecimal() else set())


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    """Names and boxes xyxy."""
    try:
        document = json.loads(text)
    except ValueError:  # several lines, each a document
        document = {}
    if isinstance(document, dict) and "annotations" in document:
        names = {image["id"]: str(image["file_name"]) for image in document["images"]}
        yield from ((names[one["image_id"]], _xyxy(one["bbox"])) for one in document["annotations"])
    elif isinstance(document, list):
        yield from ((str(one["image_id"]), _xyxy(one["bbox"])) for one in document)
    else:
        for line in filter(None, map(str.strip, text.splitlines())):
            record = json.loads(line)
            yield from ((str(record["image"]), box) for box in record["boxes"])


def _xyxy(xywh: Any) -> tuple[Any, ...]:
    x, y, width, height = xywh
    return x, y, x + width, y + height
