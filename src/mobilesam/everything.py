"""Everything mode: the masks of all objects of a photo, on any backend, without torch.

The procedure is Meta's automatic mask generator (SAM paper, section 5 and appendix B): a grid of clicks,
three masks each, kept where the model is sure and the mask is stable, near-duplicates removed. What differs
is the order of work, not the result: masks that a filter drops are never brought to full size, and those
that stay only inside their own window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .embedding import Embedding
from .errors import InputError
from .geometry import Upsampler
from .grids import Crop, crop_boxes, layer_grids
from .predictor import Predictor
from .prompts import Prompt
from .types import F32, HW, AnyArray, Bool

EDGE_TOLERANCE = 20.0
"""A box nearer than this to a crop's inner edge is the cut part of an object (Meta's value)."""


@dataclass(frozen=True)
class EverythingConfig:
    """Meta's arguments, with Meta's names and defaults.

    Raises InputError for values that make no grid.

    >>> len(EverythingConfig(points_per_side=16).grids[0])
    256
    """

    points_per_side: int | None = 32
    """Clicks along each side of the grid; None where `point_grids` is given."""
    points_per_batch: int = 64
    """For Meta's users; batches are as large as runs best, and the result is the same."""
    pred_iou_thresh: float = 0.88
    """Masks whose predicted IoU is not above this are dropped."""
    stability_score_thresh: float = 0.95
    """Masks less stable than this are dropped."""
    stability_score_offset: float = 1.0
    """How far the threshold is moved, up and down, to measure stability."""
    box_nms_thresh: float = 0.7
    """Of two masks of a crop whose boxes overlap more (IoU), the one with the lower score is dropped."""
    crop_n_layers: int = 0
    """Layers of crops, layer i with 2^i x 2^i of them."""
    crop_nms_thresh: float = 0.7
    """As box_nms_thresh, between crops; the mask of the smaller crop stays."""
    crop_overlap_ratio: float = 512 / 1500
    """How much crops overlap, as a share of the shorter side."""
    crop_n_points_downscale_factor: int = 1
    """How many times fewer points a side each layer has than the one before."""
    point_grids: Sequence[AnyArray] | None = None
    """Own grids, (N, 2) with x and y in 0..1, one a layer, in place of points_per_side."""
    min_mask_region_area: int = 0
    """Holes and specks of fewer pixels are removed."""

    def __post_init__(self) -> None:
        if (self.points_per_side is None) == (self.point_grids is None):
            raise InputError("Give either points_per_side or point_grids (with points_per_side=None).")
        if self.points_per_side is not None and self.points_per_side < 1:
            raise InputError(f"points_per_side must be 1 or more, got {self.points_per_side}.")
        if self.crop_n_layers < 0:
            raise InputError(f"crop_n_layers must be 0 or more, got {self.crop_n_layers}.")
        if self.point_grids is not None and len(self.point_grids) != self.crop_n_layers + 1:
            raise InputError(f"point_grids must be crop_n_layers + 1 grids, got {len(self.point_grids)}.")

    @property
    def grids(self) -> Sequence[AnyArray]:
        """One grid of points a layer."""
        if self.point_grids is not None:
            return [np.asarray(grid, np.float64).reshape(-1, 2) for grid in self.point_grids]
        per_side = self.points_per_side or 1
        return layer_grids(per_side, self.crop_n_layers, self.crop_n_points_downscale_factor)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One mask on its way: its pixels inside a window of the image, and what is known of it."""

    window: Crop
    """Where `inside` lies in the image."""
    inside: Bool
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    crop: Crop

    @property
    def box(self) -> tuple[float, float, float, float]:
        """xyxy with inclusive ends, as Meta counts."""
        x1, y1, x2, y2 = self.window
        return x1, y1, x2 - 1, y2 - 1

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.inside))

    def mask(self, image_hw: HW) -> Bool:
        """The full-size mask (H, W)."""
        full = np.zeros(image_hw, bool)
        x1, y1, x2, y2 = self.window
        full[y1:y2, x1:x2] = self.inside
        return full


def segment(predictor: Predictor, embedding: Embedding, config: EverythingConfig) -> list[Candidate]:
    """All masks of an image, best first. Raises InputError where crops are asked for and there is no photo."""
    image, image_hw = embedding.image, embedding.image_hw
    found: list[Candidate] = []
    crops = crop_boxes(image_hw, config.crop_n_layers, config.crop_overlap_ratio)
    for crop, layer in crops:
        part = embedding
        if layer > 0:
            if image is None:
                raise InputError("crop_n_layers needs the photo, and this embedding was made without; pass the photo.")
            part = predictor.embed(np.ascontiguousarray(image[crop[1] : crop[3], crop[0] : crop[2]]))
        found += _of_crop(predictor, part, config.grids[layer], crop, image_hw, config)
    if len(crops) > 1:
        sizes = np.array([(c.crop[2] - c.crop[0]) * (c.crop[3] - c.crop[1]) for c in found], np.float64)
        found = _without_duplicates(found, 1 / sizes, config.crop_nms_thresh)
    return _cleaned(found, image_hw, config) if config.min_mask_region_area > 0 else found


def _of_crop(
    predictor: Predictor, embedding: Embedding, grid: AnyArray, crop: Crop, image_hw: HW, config: EverythingConfig
) -> list[Candidate]:
    """The masks of one crop, in the image's pixels, without duplicates."""
    height, width = embedding.image_hw
    points = grid * (width, height)
    decoder = _Decoder(predictor, embedding, config)
    moved = [_moved(candidate, crop) for candidate in decoder.decode(points) if not _is_cut(candidate, crop, image_hw)]
    return _without_duplicates(moved, np.array([c.predicted_iou for c in moved]), config.box_nms_thresh)


class _Decoder:
    """Clicks on one embedding, as candidates that passed the two filters."""

    def __init__(self, predictor: Predictor, embedding: Embedding, config: EverythingConfig) -> None:
        self.predictor, self.embedding, self.config = predictor, embedding, config
        self.upsampler = Upsampler.of(embedding.letterbox)

    def decode(self, points_n2: AnyArray) -> list[Candidate]:
        """The candidates of these clicks, in the order of the clicks."""
        prompts = [Prompt(xy[None].astype(np.float32), np.ones(1, np.float32)) for xy in points_n2]
        found: list[Candidate] = []
        for index, (logits_bmhw, iou_bm) in self.predictor.decoded(self.embedding, prompts):
            for i, prompt, mask in ((i, index[i], m) for i, m in zip(*np.nonzero(self._sure(iou_bm)), strict=True)):
                candidate = self._candidate(logits_bmhw[i, mask + 1], float(iou_bm[i, mask + 1]), points_n2[prompt])
                if candidate:
                    found.append(candidate)
        return found

    def _sure(self, iou_bm: F32) -> Bool:
        """Which of the three ambiguous masks of each click the model is sure of: (B, 3)."""
        return np.asarray(iou_bm[:, 1:] > self.config.pred_iou_thresh)

    def _candidate(self, low_res_hw: F32, iou: float, xy: AnyArray) -> Candidate | None:
        """The full-size mask, if it is stable: hardly smaller at a higher threshold than at a lower one."""
        offset = self.config.stability_score_offset
        rows, columns, logits = self.upsampler.above(low_res_hw, -offset)
        high, low = np.count_nonzero(logits > offset), np.count_nonzero(logits > -offset)
        stability = high / low if low else 0.0
        inside = logits > 0
        if stability < self.config.stability_score_thresh or not inside.any():
            return None
        height, width = self.embedding.image_hw
        candidate = Candidate(
            window=(columns.start, rows.start, columns.stop, rows.stop),
            inside=inside,
            predicted_iou=iou,
            stability_score=float(stability),
            point=(float(xy[0]), float(xy[1])),
            crop=(0, 0, width, height),
        )
        return _tight(candidate, inside)


def _tight(candidate: Candidate, inside: Bool) -> Candidate:
    """With other pixels in its window, and the window drawn close around them."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    x, y = candidate.window[:2]
    window = (x + left, y + top, x + right, y + bottom)
    return replace(candidate, window=window, inside=inside[top:bottom, left:right])


def _moved(candidate: Candidate, crop: Crop) -> Candidate:
    """From the crop's pixels to the image's."""
    dx, dy = crop[:2]
    x1, y1, x2, y2 = candidate.window
    x, y = candidate.point
    return replace(candidate, window=(x1 + dx, y1 + dy, x2 + dx, y2 + dy), point=(x + dx, y + dy), crop=crop)


def _is_cut(candidate: Candidate, crop: Crop, image_hw: HW) -> bool:
    """True for a mask that ends at an edge of its crop which is no edge of the image."""
    box = np.array(_moved(candidate, crop).box, np.float64)
    near_crop = abs(box - crop) <= EDGE_TOLERANCE
    near_image = abs(box - (0, 0, image_hw[1], image_hw[0])) <= EDGE_TOLERANCE
    return bool((near_crop & ~near_image).any())


def _without_duplicates(found: list[Candidate], scores: AnyArray, threshold: float) -> list[Candidate]:
    """Greedy non-maximum suppression by boxes: the best score first, ties in the order given."""
    if not found:
        return []
    x1, y1, x2, y2 = np.array([c.box for c in found], np.float64).T
    areas = (x2 - x1) * (y2 - y1)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(found[best])
        width = np.clip(np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]), 0, None)
        height = np.clip(np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]), 0, None)
        shared = width * height
        union = areas[best] + areas[rest] - shared
        order = rest[shared <= threshold * union]
    return kept


def _cleaned(found: list[Candidate], image_hw: HW, config: EverythingConfig) -> list[Candidate]:
    """Small holes filled, small specks removed; of masks that became alike the untouched one stays."""
    cleaned = [_without_specks(candidate, image_hw, config.min_mask_region_area) for candidate in found]
    untouched = np.array([new is old for new, old in zip(cleaned, found, strict=True)], np.float64)
    return _without_duplicates(cleaned, untouched, max(config.box_nms_thresh, config.crop_nms_thresh))


def _without_specks(candidate: Candidate, image_hw: HW, smallest: int) -> Candidate:
    mask = candidate.mask(image_hw)
    filled = mask | _regions(~mask, lambda sizes: sizes < smallest)
    clean = filled & _regions(filled, lambda sizes: (sizes >= smallest) | (sizes == sizes.max()))
    if np.array_equal(clean, mask):
        return candidate
    return _tight(replace(candidate, window=(0, 0, image_hw[1], image_hw[0])), clean)


def _regions(mask: Bool, choose: Callable[[AnyArray], AnyArray]) -> Bool:
    """The 8-connected regions of a mask whose sizes in pixels are chosen."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return np.zeros_like(mask)
    chosen = np.concatenate([[False], choose(stats[1:, cv2.CC_STAT_AREA])])  # label 0 is the background
    return np.asarray(chosen[labels], bool)
