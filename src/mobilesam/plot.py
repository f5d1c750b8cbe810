"""Pictures for people: masks over the photo."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from .masks import box_of
from .types import F32, U8, Bool

PALETTE = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0))
"""Okabe and Ito's colours, which colour-blind people can tell apart."""
POSITIVE, NEGATIVE, WHITE = (0, 200, 0), (220, 0, 0), (255, 255, 255)


def colour(index: int) -> tuple[int, int, int]:
    """The colour of mask number `index`: the palette, then hues a golden ratio apart.

    >>> colour(0)
    (0, 114, 178)
    """
    if index < len(PALETTE):
        return PALETTE[index]
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, 0.9)
    return int(red * 255), int(green * 255), int(blue * 255)


def draw(
    image_rgb: U8,
    masks_nhw: Bool,
    *,
    boxes: F32 | None = None,
    points: Sequence[tuple[float, float, int]] = (),
    labels: Sequence[str] = (),
    colours: Sequence[int] | None = None,
    alpha: float = 0.5,
    line: int | None = None,
) -> U8:
    """A new picture (H, W, 3): masks tinted and outlined, boxes, and clicks (x, y, label) as dots.

    `labels` are written at the boxes, one each; `colours` are the numbers of the masks' colours, by default their
    places; `line` is the width of outlines in pixels, by default by the picture's size.

    >>> draw(np.zeros((4, 4, 3), np.uint8), np.ones((1, 4, 4), bool), alpha=1.0)[1, 1].tolist()
    [0, 114, 178]
    """
    canvas = np.ascontiguousarray(image_rgb).copy()
    line = line or max(1, round(max(canvas.shape[:2]) / 500))
    edges = [] if boxes is None else list(boxes)
    paint = [colour(i) for i in (range(max(len(masks_nhw), len(edges))) if colours is None else colours)]
    for mask, rgb in zip(masks_nhw, paint, strict=False):
        _tint(canvas, mask, rgb, alpha)
        if min(mask.shape) > 8:  # on a handful of pixels an outline would be all one sees
            _outline(canvas, mask, rgb, line)
    for number, box in enumerate(edges):
        x1, y1, x2, y2 = (round(float(value)) for value in box)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), paint[number], line * 2)
        if number < len(labels):
            _write(canvas, labels[number], (x1, y1), paint[number], line)
    for x, y, label in points:
        centre = round(x), round(y)
        cv2.circle(canvas, centre, 4 * line, WHITE, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, 3 * line, POSITIVE if label else NEGATIVE, -1, cv2.LINE_AA)
    return canvas


def _tint(canvas: U8, mask: Bool, rgb: tuple[int, int, int], alpha: float) -> None:
    x1, y1, x2, y2 = box_of(mask).astype(int)
    if x2 == x1:
        return
    part = canvas[y1:y2, x1:x2]
    tinted = cv2.addWeighted(part, 1 - alpha, np.full_like(part, rgb), alpha, 0)
    cv2.copyTo(tinted, mask[y1:y2, x1:x2].astype(np.uint8), part)


def _outline(canvas: U8, mask: Bool, rgb: tuple[int, int, int], line: int) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, WHITE, line + 2, cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, rgb, line, cv2.LINE_AA)


def _write(canvas: U8, text: str, corner: tuple[int, int], rgb: tuple[int, int, int], line: int) -> None:
    """White text on a plate whose lower left corner is at `corner`, or below it where there is no room."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4 + 0.1 * line
    (width, height), below = cv2.getTextSize(text, font, scale, line)
    x, y = corner[0], max(corner[1], height + below)
    cv2.rectangle(canvas, (x, y - height - below), (x + width, y), rgb, -1)
    cv2.putText(canvas, text, (x, y - below // 2), font, scale, WHITE, line, cv2.LINE_AA)
