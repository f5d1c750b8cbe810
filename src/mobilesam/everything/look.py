"""The first look of quality="fast": which clicks are worth decoding.

The decoder's time goes into the 64 x 64 cells of the embedding. Averaged to 32 x 32 and without the
padding, a click costs a fifth, and its masks are rough: good enough to see which clicks find an object
and which find the same one, not to show. So every click gets a first look, doubtful and duplicate masks
are dropped with loose thresholds, and only the clicks of the rest are decoded properly.
"""

from __future__ import annotations

import numpy as np

from ..embedding import Embedding
from ..grids import Crop
from ..masks import stability_score
from ..predictor import Predictor
from ..types import F32, AnyArray
from .candidate import extent
from .config import EverythingConfig
from .suppress import best_boxes

POOL = 2
"""Cells of the embedding that are averaged into one, along each side."""
BATCH = 16
"""Clicks at a time: with fewer cells each, more of them fit a processor's cache."""


def promising(predictor: Predictor, embedding: Embedding, points_n2: AnyArray, config: EverythingConfig) -> AnyArray:
    """The points worth decoding, the most promising first."""
    features = _coarse(embedding, predictor.backend.info.img_size)
    clicks, scores, boxes = [], [], []
    coords = embedding.letterbox.to_model(points_n2)
    for start, logits_bmhw, iou_bm in predictor.clicked(features, coords, BATCH):
        for i, mask in zip(*np.nonzero(iou_bm[:, 1:] > config.pred_iou_thresh - config.look_slack / 2), strict=True):
            judged = _judge(logits_bmhw[i, mask + 1], config)
            if judged:
                clicks.append(start + i)
                scores.append(judged[0] + float(iou_bm[i, mask + 1]))
                boxes.append(judged[1])
    kept = best_boxes(np.array(boxes, np.float64).reshape(-1, 4), np.array(scores), config.look_nms_thresh)
    chosen = list(dict.fromkeys(int(clicks[i]) for i in kept))
    return points_n2[chosen]


def _coarse(embedding: Embedding, img_size: int) -> F32:
    """The embedding averaged, without the cells that are all padding."""
    _, channels, rows, columns = embedding.features_bchw.shape
    blocks = embedding.features_bchw.reshape(1, channels, rows // POOL, POOL, columns // POOL, POOL)
    stride = POOL * img_size // rows
    height, width = embedding.letterbox.resized_hw
    return np.ascontiguousarray(blocks.mean(axis=(3, 5))[:, :, : -(-height // stride), : -(-width // stride)])


def _judge(logits_hw: F32, config: EverythingConfig) -> tuple[float, Crop] | None:
    """Stability and box (in cells) of a rough mask, unless it is hopeless."""
    stability = stability_score(logits_hw, config.stability_score_offset)
    if stability < config.stability_score_thresh - config.look_slack:
        return None
    box = extent(logits_hw > 0)
    return (stability, box) if box[2] else None
