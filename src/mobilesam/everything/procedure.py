"""Meta's automatic mask generator (SAM paper, section 5 and appendix B): the order of work for one photo.

A grid of clicks, three masks each, kept where the model is sure and the mask is stable, near-duplicates
removed; crops for small objects. The result is Meta's, up to ties, with quality="exact".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from ..embedding import Embedding
from ..errors import InputError
from ..grids import Crop, crop_boxes
from ..predictor import BATCH, Predictor
from ..types import HW, AnyArray
from .candidate import Candidate, touches_inner_edge
from .clean import cleaned
from .clicks import Clicks, Rough
from .config import EverythingConfig
from .look import promising
from .suppress import best_boxes, resolve, without_duplicates

Progress = Callable[[int, int], None]
"""Called with clicks done and clicks in all."""


def segment(
    predictor: Predictor, embedding: Embedding, config: EverythingConfig, progress: Progress | None = None
) -> list[Candidate]:
    """All masks of a photo, best first. Raises InputError where crops are asked for and there is no photo."""
    image_hw = embedding.image_hw
    crops = list(_crops(predictor, embedding, config))
    total = sum(len(grid) for _, grid, _ in crops)
    masks: list[Candidate] = []
    done = 0
    for crop, grid, embed in crops:
        report = (lambda n, before=done: progress(before + n, total)) if progress else None
        masks += of_crop(predictor, embed(), grid, crop, image_hw, config, report)
        done += len(grid)
    if len(crops) > 1:
        sizes = [(c.crop[2] - c.crop[0]) * (c.crop[3] - c.crop[1]) for c in masks]
        masks = without_duplicates(masks, [1 / size for size in sizes], config.crop_nms_thresh)
    return completed(masks, image_hw, config)


def completed(masks: list[Candidate], image_hw: HW, config: EverythingConfig) -> list[Candidate]:
    """What is done once all masks are there: cleaning, overlaps, the number asked for."""
    if config.min_mask_region_area > 0:
        threshold = max(config.box_nms_thresh, config.crop_nms_thresh)
        masks = cleaned(masks, image_hw, config.min_mask_region_area, threshold)
    if config.max_masks is not None:
        masks = sorted(masks, key=lambda c: -c.predicted_iou)[: config.max_masks]
    return resolve(masks, config.overlap)


def found(predictor: Predictor, embedding: Embedding, config: EverythingConfig) -> Iterator[Candidate]:
    """Masks while they are found: each differs from those before by box_nms_thresh.

    As a better duplicate may come later, `segment` may keep another of two near-duplicates; order, overlaps
    and cleaning are its business too.
    """
    boxes = np.zeros((0, 4))
    for crop, grid, embed in _crops(predictor, embedding, config):
        part = embed()
        clicks, points = _clicks(predictor, part, grid, config)
        for batch in clicks.decode(points):
            for rough in sorted(batch, key=lambda r: -r.predicted_iou):
                candidate = _inner(clicks.finish(rough), crop, embedding.image_hw)
                if candidate is None:
                    continue
                together = np.concatenate([boxes, [candidate.box]])
                scores = np.arange(len(together), 0, -1)
                if len(best_boxes(together, scores, config.box_nms_thresh)) == len(together):
                    boxes = together
                    yield candidate


def of_crop(
    predictor: Predictor,
    embedding: Embedding,
    grid: AnyArray,
    crop: Crop,
    image_hw: HW,
    config: EverythingConfig,
    progress: Callable[[int], None] | None = None,
    *,
    cut: bool = False,
    longer: float = 0.0,
) -> list[Candidate]:
    """The masks of one crop, in the image's pixels, without duplicates.

    With `cut` those that the crop's edges cut come too; those with no side longer than `longer` don't.
    """
    clicks, points = _clicks(predictor, embedding, grid, config)
    roughs: list[Rough] = []
    skipped = len(grid) - len(points)
    for number, batch in enumerate(clicks.decode(points), start=1):
        roughs += [r for r in batch if cut or not _is_cut(r, crop, image_hw)]
        if progress:
            progress(min(skipped + number * BATCH, len(grid)))
    boxes = np.array([r.box for r in roughs], np.float64).reshape(-1, 4)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0)
    kept = best_boxes(boxes, np.array([r.predicted_iou for r in roughs]), config.box_nms_thresh)
    finished = (clicks.finish(roughs[i]) for i in kept if sides[i] >= longer)
    masks = [c.moved(crop) for c in finished if c] if cut else [_inner(c, crop, image_hw) for c in finished]
    return [c for c in masks if c]


def _clicks(
    predictor: Predictor, embedding: Embedding, grid: AnyArray, config: EverythingConfig
) -> tuple[Clicks, AnyArray]:
    """The clicks of a crop, and where they go."""
    height, width = embedding.image_hw
    points = grid * (width, height)
    if config.quality == "fast" and not predictor.backend.info.whole_maps_only:
        points = promising(predictor, embedding, points, config)
    return Clicks(predictor, embedding, config), points


def _crops(
    predictor: Predictor, embedding: Embedding, config: EverythingConfig
) -> Iterator[tuple[Crop, AnyArray, Callable[[], Embedding]]]:
    """Each crop with its grid and a function that embeds it; the first is the whole photo."""
    grids = config.grids
    image = embedding.image
    for crop, layer in crop_boxes(embedding.image_hw, config.crop_n_layers, config.crop_overlap_ratio):
        if layer == 0:
            yield crop, grids[0], lambda: embedding
            continue
        if image is None:
            raise InputError("crop_n_layers needs the photo, and this embedding was made without; pass the photo.")
        part = image[crop[1] : crop[3], crop[0] : crop[2]]
        yield crop, grids[layer], partial(predictor.embed, np.ascontiguousarray(part))


def _is_cut(rough: Rough, crop: Crop, image_hw: HW) -> bool:
    x, y = crop[:2]
    x1, y1, x2, y2 = rough.box
    return touches_inner_edge((x1 + x, y1 + y, x2 + x, y2 + y), crop, image_hw)


def _inner(candidate: Candidate | None, crop: Crop, image_hw: HW) -> Candidate | None:
    """The candidate in the image's pixels, unless an inner edge of its crop cuts it."""
    if candidate is None:
        return None
    moved = candidate.moved(crop)
    return None if touches_inner_edge(moved.box, crop, image_hw) else moved
