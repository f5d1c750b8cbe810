"""Clicks on one embedding -> masks that the model is sure of and that are stable.

Meta brings every mask to full size and then filters. Here the filters see the low-resolution logits first:
a mask that is dropped is never brought to full size, a small one is judged at full size because that is
cheap, and a large one by its cells, which are then many enough to tell, unless it is a close call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..embedding import Embedding
from ..geometry import MASK_STRIDE, Upsampler
from ..masks import stability_score
from ..predictor import Predictor
from ..types import F32, AnyArray, Bool
from .candidate import Candidate, extent
from .config import EverythingConfig

SMALL = 256 * 256
"""Windows of at most so many pixels are judged at full size."""
ROUGH = 0.1
"""A small mask this much less stable by its cells than asked for isn't looked at again."""
MARGIN = 2
"""Cells that are kept around a mask."""
ROWS = 64
"""Rows brought to full size at once: they need few rows of cells, and little memory in a large picture."""
NEAR = 0.001
"""A large mask as close as this to the threshold is judged at full size too."""


@dataclass(frozen=True, eq=False)
class Rough:
    """A mask that passed the filters, still as logits."""

    logits_hw: AnyArray
    """Low-resolution logits around the mask, float16 to hold many."""
    corner: tuple[int, int]
    """Row and column of the first of them."""
    box: tuple[float, float, float, float]
    """xyxy with inclusive ends, in the photo's pixels; to a cell where the mask is large."""
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]


class Clicks:
    """The clicks on one embedding, by one configuration."""

    def __init__(self, predictor: Predictor, embedding: Embedding, config: EverythingConfig) -> None:
        self.predictor, self.embedding, self.config = predictor, embedding, config
        self.upsampler = Upsampler.of(embedding.letterbox)
        # The last pixels are interpolated with one cell of the padding.
        low = embedding.letterbox.size // MASK_STRIDE
        height, width = (min(-(-side // MASK_STRIDE) + 1, low) for side in embedding.letterbox.resized_hw)
        self._cells = height, width
        self._pixels_per_cell = MASK_STRIDE * embedding.image_hw[1] / embedding.letterbox.resized_hw[1]

    def decode(self, points_n2: AnyArray) -> Iterator[list[Rough]]:
        """What each batch of clicks (x, y in the photo's pixels) found, one batch after another."""
        rows, columns = self._cells
        coords = self.embedding.letterbox.to_model(points_n2)
        for start, logits_bmhw, iou_bm in self.predictor.clicked(self.embedding.features_bchw, coords):
            found = []
            sure = iou_bm[:, 1:] > self.config.pred_iou_thresh
            for i, mask in zip(*np.nonzero(sure), strict=True):
                logits_hw = logits_bmhw[i, mask + 1, :rows, :columns]
                x, y = points_n2[start + i]
                rough = self._judge(logits_hw, float(iou_bm[i, mask + 1]), (float(x), float(y)))
                found += [rough] if rough else []
            yield found

    def _judge(self, logits_hw: F32, iou: float, point: tuple[float, float]) -> Rough | None:
        """The mask, unless it is empty or unstable."""
        offset, wanted = self.config.stability_score_offset, self.config.stability_score_thresh
        stability = stability_score(logits_hw, offset)
        if stability < wanted - ROUGH:
            return None
        scale, (height, width) = self._pixels_per_cell, self.embedding.image_hw
        x1, y1, x2, y2 = extent(logits_hw > 0)
        if (x2 - x1) * (y2 - y1) * scale**2 > SMALL and abs(stability - wanted) > NEAR:
            box = (x1 * scale, y1 * scale, min(x2 * scale, width) - 1, min(y2 * scale, height) - 1)
        else:
            inside, (x, y), stability = self._full_size(logits_hw)
            x1, y1, x2, y2 = extent(inside)
            box = (x + x1, y + y1, x + x2 - 1, y + y2 - 1)
        if stability < wanted or x2 == 0:
            return None
        # A pixel's neighbourhood is at most three cells wide, so further out nothing counts.
        x1, y1, x2, y2 = extent(logits_hw > -offset)
        x1, y1 = max(0, x1 - MARGIN), max(0, y1 - MARGIN)
        around = logits_hw[y1 : y2 + MARGIN, x1 : x2 + MARGIN].astype(np.float16)
        return Rough(around, (y1, x1), box, iou, stability, point)

    def finish(self, rough: Rough) -> Candidate | None:
        """The full-size mask; None where it turns out empty."""
        logits_hw = np.full(self._cells, -np.finfo(np.float16).max, np.float32)
        (row, column), (height, width) = rough.corner, rough.logits_hw.shape
        logits_hw[row : row + height, column : column + width] = rough.logits_hw
        inside, corner, stability = self._full_size(logits_hw)
        height, width = self.embedding.image_hw
        empty = Candidate.empty((0, 0, width, height), rough.predicted_iou, stability, rough.point)
        return empty.covering(inside, corner)

    def _full_size(self, logits_hw: F32) -> tuple[Bool, tuple[int, int], float]:
        """Pixels of a window around the mask, its corner (x, y), and the stability score."""
        offset = self.config.stability_score_offset
        rows, columns = self.upsampler.window(logits_hw, -offset)
        inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        high = low = 0
        for top in range(rows.start, rows.stop, ROWS):
            block = slice(top, min(top + ROWS, rows.stop))
            full = self.upsampler.logits(logits_hw, block, columns)
            inside[block.start - rows.start : block.stop - rows.start] = full > 0
            high += int(np.count_nonzero(full > offset))
            low += int(np.count_nonzero(full > -offset))
        return inside, (columns.start, rows.start), high / low if low else 0.0
