"""The worst masks as one picture, each made again from its prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from PIL import Image

from ... import plot
from ...embedding import Embedding
from ...files import png_bytes
from ...predictor import Predictor
from ...types import U8, Bool
from ..datasets import Instance
from ..protocols import Row
from ..protocols.base import answers, replay

COUNT, COLUMNS = 20, 5
CELL_HW = (240, 300)
CAPTION = 22
BLUE = plot.colour(0)
OPACITY = 0.6

Find = Callable[[Row], "tuple[Embedding, Instance] | None"]
"""The embedding and the true object of a row; None where they are no longer there."""


def worst_of(rows: Sequence[Row], count: int = COUNT) -> list[Row]:
    """The rows with the lowest first score, the worst first; those without a prompt can't be shown."""
    shown = [row for row in rows if row.scores and (row.prompt.get("clicks") or row.prompt.get("box"))]
    return sorted(shown, key=lambda row: next(iter(row.scores.values())))[:count]


def contact_sheet(predictor: Predictor, rows: Sequence[Row], find: Find) -> bytes | None:
    """The rows' masks over their photos as a PNG; None where there is nothing to show."""
    cells = [cell for row in rows if (cell := _cell(predictor, row, find)) is not None]
    if not cells:
        return None
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % min(COLUMNS, len(cells)))
    columns = min(COLUMNS, len(cells))
    lines = [np.concatenate(cells[i : i + columns], axis=1) for i in range(0, len(cells), columns)]
    return png_bytes(np.concatenate(lines))


def _cell(predictor: Predictor, row: Row, find: Find) -> U8 | None:
    found = find(row)
    if found is None or found[0].image is None:
        return None
    embedding, instance = found
    prompt, of_three = replay(row.prompt)
    mask = answers(predictor, embedding, [prompt], of_three).masks[0]
    clicks = [(float(x), float(y), int(label)) for (x, y), label in zip(prompt.points_n2, prompt.labels_n, strict=True)]
    picture = _drawn(found[0].image, mask, instance.mask, clicks, prompt.box)
    name, value = next(iter(row.scores.items()))
    return _captioned(picture, f"{name} {value:.2f}  {row.photo[:20]} {row.object[:10]}")


def _drawn(image: U8, mask: Bool, true: Bool, clicks: list[tuple[float, float, int]], box: object) -> U8:
    """The photo at the cell's size with mask, truth and prompt: scaled first, so that lines have one width."""
    height, width = image.shape[:2]
    scale = min(CELL_HW[0] / height, CELL_HW[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    found, truth = (cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0 for m in (mask, true))
    points = [(x * scale, y * scale, label) for x, y, label in clicks]
    edges = None if box is None else np.asarray(box, np.float32)[None] * np.float32(scale)
    tinted = small.copy()
    tinted[found] = np.round(small[found] * (1 - OPACITY) + np.array(BLUE) * OPACITY)
    canvas = plot.draw(tinted, np.zeros((0, *found.shape), bool), boxes=edges, points=points, colours=[1], line=1)
    contours, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, (0, 0, 0), 2)
    cv2.drawContours(canvas, contours, -1, plot.WHITE, 1)
    return canvas


def _captioned(picture: U8, text: str) -> U8:
    cell = np.full((CELL_HW[0] + CAPTION + 8, CELL_HW[1] + 8, 3), 255, np.uint8)
    height, width = picture.shape[:2]
    cell[4 : 4 + height, 4 : 4 + width] = picture
    place = (6, CELL_HW[0] + CAPTION)
    cv2.putText(cell, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return cell
