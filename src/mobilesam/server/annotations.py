"""Annotations of the browser app: what it sends, checked, and as files of other programs."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from .. import formats
from ..errors import InputError
from ..everything import Candidate
from ..files import apart
from ..types import HW
from .messages import Message, RunLengths
from .work import mask_of

Mask = RunLengths | None
Repeated = RunLengths | Literal[True] | None
"""True where the mask is the object's `rle`."""
Point = tuple[float, float, Literal[0, 1]]


class Stroke(Message):
    """One stroke of the brush, in the photo's pixels."""

    add: bool
    radius: float = Field(gt=0)
    path: list[tuple[float, float]] = Field(min_length=1)


class ModelAnswer(Message):
    """The model's mask for the prompts that `key` spells."""

    key: str
    rle: Repeated
    iou: float | None


class Object(Message):
    """One object as the page keeps it (page/state.js): how it was made, and its mask `rle`."""

    id: int = Field(ge=1)
    name: str = Field(max_length=200)
    colour: str = Field(pattern="^#[0-9a-f]{6}$")
    hidden: bool
    points: list[Point]
    box: tuple[float, float, float, float] | None
    base: Repeated
    origin: int | None
    strokes: list[Stroke]
    answer: ModelAnswer | None
    rle: Mask
    iou: float | None


class Work(Message):
    """What is known of one photo; `revision` is that of the work it began from."""

    size: tuple[int, int]
    objects: list[Object]
    done: bool
    revision: int = Field(ge=0)

    def check(self) -> None:
        """Raises PromptError for a mask that isn't one of a photo of this size."""
        for one in self.objects:
            masks = (one.rle, one.base, one.answer.rle if one.answer else None)
            for mask in masks:
                if isinstance(mask, RunLengths):
                    mask_of(mask, self.size)


class Named(Message):
    """A mask and what it is called."""

    name: str = Field(max_length=200)
    rle: RunLengths


class ExportRequest(Message):
    """Masks of one photo, and the kind of file to make of them."""

    kind: str
    photo: str = Field(max_length=1000)
    size: tuple[int, int]
    objects: list[Named]


@dataclass(frozen=True)
class Annotated:
    """A photo's named masks, as mobilesam.formats reads them."""

    name: str
    image_hw: HW
    candidates: list[Candidate]
    labels: list[str]

    @classmethod
    def of(cls, name: str, size: HW, masks: Sequence[tuple[str, RunLengths]]) -> Annotated:
        """Empty masks are left out. Raises PromptError for run lengths that don't fill the photo."""
        found = [(label, _candidate(lengths, size)) for label, lengths in masks]
        kept = [(label, candidate) for label, candidate in found if candidate is not None]
        return cls(name, size, [candidate for _, candidate in kept], [label for label, _ in kept])


def _candidate(lengths: RunLengths, size: HW) -> Candidate | None:
    return Candidate.empty((0, 0, size[1], size[0])).covering(mask_of(lengths, size), (0, 0))


@dataclass(frozen=True)
class File:
    """A file to download."""

    name: str
    data: bytes
    media_type: str


def write(kind: str, photos: Sequence[Annotated], name: str) -> File:
    """The photos' masks as "coco" (one file), "labelme" (one a photo, several as ZIP) or "yolo" (a ZIP with data.yaml).

    `name` is the file's, without a suffix. Raises InputError for another kind.
    """
    if kind not in WRITERS:
        raise InputError(f"Unknown kind {kind!r}; choose one of: {', '.join(WRITERS)}.")
    return WRITERS[kind](photos, name)


def _coco(photos: Sequence[Annotated], name: str) -> File:
    document = formats.coco_of(photos)
    for annotation in document["annotations"]:  # scores are the model's, and these masks are a person's
        del annotation["predicted_iou"], annotation["stability_score"]
    return File(f"{name}-coco.json", _json(document), "application/json")


def _labelme(photos: Sequence[Annotated], name: str) -> File:
    if len(photos) == 1:
        return File(f"{name}.json", _json(formats.labelme(photos[0])), "application/json")
    stems = apart(PurePosixPath(photo.name).stem for photo in photos)
    files = {f"{stem}.json": _json(formats.labelme(photo)) for stem, photo in zip(stems, photos, strict=True)}
    return _zip(f"{name}-labelme.zip", files)


def _yolo(photos: Sequence[Annotated], name: str) -> File:
    classes = formats.classes_of(photos)
    stems = apart(PurePosixPath(photo.name).stem for photo in photos)
    files = {
        f"labels/{stem}.txt": formats.yolo(photo, classes).encode() for stem, photo in zip(stems, photos, strict=True)
    }
    names = "".join(f"  {number}: {json.dumps(label)}\n" for number, label in enumerate(classes))
    files["data.yaml"] = f"path: .\ntrain: images\nval: images\nnames:\n{names}".encode()
    return _zip(f"{name}-yolo.zip", files)


WRITERS: dict[str, Callable[[Sequence[Annotated], str], File]] = {"coco": _coco, "labelme": _labelme, "yolo": _yolo}


def plain_name(name: str) -> str:
    r"""A photo's name without folders, and without characters that a file's name can't have on some system.

    >>> plain_name("../../etc/pass:wd"), plain_name("C:\\photos\\cup.jpg"), plain_name("..")
    ('pass_wd', 'cup.jpg', 'photo')
    """
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", last).strip(" .")[-200:] or "photo"


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _zip(name: str, files: dict[str, bytes]) -> File:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, data in files.items():
            packed.writestr(path, data)
    return File(name, buffer.getvalue(), "application/zip")
