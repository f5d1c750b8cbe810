"""Prompts: what the caller wants masks of, checked, one value an object, in original pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import PromptError
from .geometry import MASK_STRIDE, Letterbox
from .types import F32, HW, AnyArray

BOX_LABELS = (2.0, 3.0)
PADDING_LABEL = -1.0
MASK_LOGIT = 6.907
"""log(0.999 / 0.001): how sure a binary mask given as a prompt is taken to be (as micro-sam does)."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """One object: points (N, 2) with labels (N,), and perhaps a box (4,) xyxy and low-res logits (256, 256)."""

    points_n2: F32
    labels_n: F32
    box: F32 | None = None
    mask_hw: F32 | None = None

    @property
    def is_lone_click(self) -> bool:
        """True for one point and no box: it may mean a part of an object, the whole, or something larger."""
        return len(self.points_n2) == 1 and self.box is None

    def tokens(self, letterbox: Letterbox) -> tuple[F32, F32]:
        """Coordinates (N', 2) in the model's square and labels (N',).

        As upstream: points first, then a box's two corners; points without a box get one padding token,
        which takes part in attention, so its absence would change the mask.
        """
        coords, labels = [self.points_n2], [self.labels_n]
        if self.box is not None:
            coords.append(self.box.reshape(2, 2))
            labels.append(np.array(BOX_LABELS, np.float32))
        elif len(self.points_n2):
            coords.append(np.zeros((1, 2), np.float32))
            labels.append(np.array([PADDING_LABEL], np.float32))
        return letterbox.to_model(np.concatenate(coords)), np.concatenate(labels)


def build(
    letterbox: Letterbox, *, points: Any = None, labels: Any = None, bboxes: Any = None, masks: Any = None
) -> tuple[Prompt, ...]:
    """The prompts of one image, from whatever nesting the caller used.

    `points`: `[x, y]` is one object; `[[x, y], ...]` one object a point; `[[[x, y], ...], ...]` one object
    a list, and the lists may differ in length. `labels` has the same nesting less the last level (1 object,
    0 not this; default 1). `bboxes`: `[x1, y1, x2, y2]` or a list of them. `masks`: one or several, either
    earlier logits (256, 256) of a float type or binary masks (H, W). What is given together belongs
    together, object by object; one mask or box is not repeated.

    Raises PromptError for anything else, for values outside the image, and for no prompt at all.

    >>> [len(p.points_n2) for p in build(Letterbox((10, 10)), points=[[[1, 1], [2, 2]], [[3, 3]]])]
    [2, 1]
    """
    if labels is not None and points is None:
        raise PromptError("labels without points; pass points=[[x, y], ...] too.")
    given: dict[str, list[Any]] = {}
    if points is not None:
        given["points"] = _points(points, labels, letterbox.image_hw)
    if bboxes is not None:
        given["bboxes"] = _boxes(bboxes, letterbox.image_hw)
    if masks is not None:
        given["masks"] = _masks(masks, letterbox)
    if not given:
        raise PromptError("No prompt: pass points=, bboxes= or masks=. For all objects use everything().")
    counts = {name: len(items) for name, items in given.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} in {name}" for name, count in counts.items())
        raise PromptError(
            f"Prompts that belong together must be equally many, got {listed}. "
            "Several points of one object are written points=[[[x, y], [x, y]]]."
        )
    nothing = (np.zeros((0, 2), np.float32), np.zeros(0, np.float32))
    count = next(iter(counts.values()))
    clicks = given.get("points", [nothing] * count)
    boxes, logits = given.get("bboxes", [None] * count), given.get("masks", [None] * count)
    return tuple(Prompt(click[0], click[1], box, mask) for click, box, mask in zip(clicks, boxes, logits, strict=True))


def _points(points: Any, labels: Any, image_hw: HW) -> list[tuple[F32, F32]]:
    depth = _depth(points, "points")
    if depth not in (1, 2, 3):
        raise PromptError(f"points must be [x, y], [[x, y], ...] or [[[x, y], ...], ...], got {depth} levels.")
    groups = [[points]] if depth == 1 else [[p] for p in points] if depth == 2 else list(points)
    if labels is None:
        label_groups: list[Any] = [[1] * len(group) for group in groups]
    else:
        label_groups = _label_groups(labels, depth, groups)
    if not groups or any(len(group) == 0 for group in groups):
        raise PromptError("points is empty, or one of its objects is; each object needs at least one point.")
    return [
        (_checked_points(group, image_hw), _checked_labels(mine, len(group)))
        for group, mine in zip(groups, label_groups, strict=True)
    ]


def _label_groups(labels: Any, depth: int, groups: Sequence[Any]) -> list[Any]:
    """Labels nested as the groups are; a flat list also fits the points of a single object."""
    label_depth = _depth(labels, "labels")
    if label_depth == 0:
        labels, label_depth = [labels], 1
    if label_depth == 2:
        found = [list(group) for group in labels]
    elif depth == 3 and len(groups) == 1:
        found = [list(labels)]
    else:
        found = [[label] for label in labels]
    if len(found) != len(groups):
        raise PromptError(f"labels must be as many as points, got labels for {len(found)} objects and {len(groups)}.")
    return found


def _checked_points(group: Any, image_hw: HW) -> F32:
    array = _numbers(group, "points")
    if array.ndim != 2 or array.shape[1] != 2:
        raise PromptError(f"A point is [x, y], got an array of shape {array.shape}.")
    height, width = image_hw
    outside = (array < 0).any(axis=1) | (array > (width, height)).any(axis=1)
    if outside.any():
        raise PromptError(
            f"Point {array[outside][0].tolist()} lies outside the image of {width} x {height} pixels. "
            "Points are (x, y) in original pixels."
        )
    return array.astype(np.float32)


def _checked_labels(labels: Any, count: int) -> F32:
    array = _numbers(labels, "labels")
    if array.shape != (count,):
        raise PromptError(f"labels must be one for each point, got {array.size} for {count}.")
    if not np.isin(array, (0, 1)).all():
        raise PromptError(f"A label is 1 (object) or 0 (not this), got {array.tolist()}.")
    return array.astype(np.float32)


def _boxes(bboxes: Any, image_hw: HW) -> list[F32]:
    array = _numbers(bboxes, "bboxes")
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != 4 or not len(array):
        raise PromptError(f"bboxes must be [x1, y1, x2, y2] or a list of them, got an array of shape {array.shape}.")
    height, width = image_hw
    for x1, y1, x2, y2 in array.tolist():
        if x2 <= x1 or y2 <= y1:
            raise PromptError(f"A box is [x1, y1, x2, y2] with x2 > x1 and y2 > y1, got {[x1, y1, x2, y2]}.")
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            raise PromptError(f"Box {[x1, y1, x2, y2]} lies outside the image of {width} x {height} pixels.")
    return list(array.astype(np.float32))


def _masks(masks: Any, letterbox: Letterbox) -> list[F32]:
    array = np.asarray(masks)
    if array.ndim == 4 and array.shape[1] == 1:  # Meta's (B, 1, 256, 256)
        array = array[:, 0]
    array = array[None] if array.ndim == 2 else array
    low = letterbox.size // MASK_STRIDE
    is_logits = array.shape[1:] == (low, low) and np.issubdtype(array.dtype, np.floating)
    if array.ndim != 3 or not len(array) or not (is_logits or array.shape[1:] == letterbox.image_hw):
        raise PromptError(
            f"masks must be logits of shape ({low}, {low}) or binary masks of the image's shape "
            f"{letterbox.image_hw}, one or several, got {np.asarray(masks).shape}."
        )
    if is_logits:
        if not np.isfinite(array).all():
            raise PromptError("masks holds NaN or infinite logits.")
        return [np.array(mask, np.float32) for mask in array]
    return [_binary_to_logits(mask, letterbox) for mask in array]


def _binary_to_logits(mask_hw: AnyArray, letterbox: Letterbox) -> F32:
    values = np.unique(mask_hw)
    if mask_hw.dtype.kind not in "biuf" or not (np.isin(values, (0, 1)).all() or np.isin(values, (0, 255)).all()):
        raise PromptError(f"A binary mask has the values 0 and 1 (or 255), got {values[:5].tolist()}.")
    share = letterbox.downsample(np.asarray(mask_hw > 0, np.float32))
    return np.asarray((share * 2 - 1) * MASK_LOGIT, np.float32)


def _numbers(value: Any, what: str) -> AnyArray:
    """An array of finite numbers that is not the caller's own."""
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} must be numbers in one regular nesting, got {value!r}.") from error
    if not np.isfinite(array).all():
        raise PromptError(f"{what} holds NaN or infinite values: {array.tolist()}.")
    return array


def _depth(value: Any, what: str) -> int:
    """How deeply a list is nested: 0 for a number. An array counts by its axes."""
    if isinstance(value, np.ndarray):
        return value.ndim
    depth = 0
    while isinstance(value, (list, tuple)) or (hasattr(value, "__len__") and not isinstance(value, (str, bytes))):
        if len(value) == 0:
            raise PromptError(f"{what} is empty, or one of its objects is.")
        value, depth = value[0], depth + 1
    return depth
