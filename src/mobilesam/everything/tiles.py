"""Pictures too large for one look: windows that overlap, and objects joined where windows meet.

Each tile is a photo of its own. An object that an inner edge of a tile cuts goes on in the neighbour; where
the two tiles overlap, both show the same part of it. So two masks are one object when, inside the overlap
and with at least one of them cut, they agree; what is still cut after that is dropped, as Meta drops what a
crop cuts. Objects longer than half a tile are looked for in an overview of the whole picture too, and tiles'
masks that only repeat a part of one of these go.
Masks are kept eight pixels a byte and the picture is read tile by tile, so that memory grows with what is
found, not with the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from ..geometry import Letterbox
from ..grids import Crop, tile_boxes
from ..image import Windows
from ..predictor import Predictor
from ..types import HW
from .candidate import Candidate, meet, shared, touches_inner_edge
from .config import EverythingConfig
from .procedure import Progress, completed, of_crop
from .suppress import iou, without_duplicates

AGREE = 0.5
"""Masks of two tiles are one object where their IoU inside the tiles' overlap is at least this."""
COVERED = 0.8
"""A fragment lies in an object of the overview where this share of it does."""
TWIN = 0.7
"""A joined mask and one of the overview with this IoU are one object."""
OVERVIEW = 2048
"""The overview's longer side is at least this, twice what the model sees."""


def segment_tiles(
    predictor: Predictor, windows: Windows, config: EverythingConfig, progress: Progress | None = None
) -> list[Candidate]:
    """All masks of a picture, best first."""
    side = config.tiles or max(windows.hw)
    tiles = tile_boxes(windows.hw, side, config.tile_overlap)
    (grid,) = config.grids
    found: list[list[Candidate]] = []
    for tile in tiles:
        embedding = predictor.embed(windows.read(tile))
        found.append(of_crop(predictor, embedding, grid, tile, windows.hw, config, cut=True))
        if progress:
            progress(len(found), len(tiles))
    whole_ones = (joined(group, windows.hw) for group in groups(found, tiles, windows.hw))
    masks = [c for c in whole_ones if c]
    if len(tiles) > 1:
        masks = with_whole(masks, _of_overview(predictor, windows, config, side / 2), side / 2)
    masks = without_duplicates(masks, [c.predicted_iou for c in masks], config.box_nms_thresh)
    return completed(masks, windows.hw, config)


def _of_overview(predictor: Predictor, windows: Windows, config: EverythingConfig, longer: float) -> list[Candidate]:
    """The large objects, as the model sees them in the whole picture."""
    height, width = windows.hw
    small = predictor.embed(windows.overview(max(1, max(windows.hw) // OVERVIEW)))
    whole = replace(small, letterbox=Letterbox(windows.hw, small.letterbox.size), image=None)
    return of_crop(predictor, whole, config.grids[0], (0, 0, width, height), windows.hw, config, longer=longer)


def with_whole(masks: list[Candidate], whole: list[Candidate], long: float) -> list[Candidate]:
    """Masks of tiles and of the overview: for each object the finer one, without fragments of larger ones."""
    kept, left = [], list(whole)
    for candidate in masks:
        twin = next((w for w in left if iou(candidate, w) >= TWIN), None)
        if twin is not None:
            left.remove(twin)
        elif _is_fragment(candidate, whole, long):
            continue
        kept.append(candidate)
    return kept + left


def _is_fragment(candidate: Candidate, whole: list[Candidate], long: float) -> bool:
    """Too long to be seen well by a tile, and within an object that the overview shows."""
    x1, y1, x2, y2 = candidate.window
    if max(x2 - x1, y2 - y1) <= long:
        return False
    return any(candidate.overlap(larger) >= COVERED * candidate.area for larger in whole)


def groups(found: list[list[Candidate]], tiles: list[Crop], image_hw: HW) -> list[list[Candidate]]:
    """The masks of all tiles, those of one object together."""
    masks = [candidate for of_tile in found for candidate in of_tile]
    starts = np.cumsum([0, *(len(of_tile) for of_tile in found)])
    group = list(range(len(masks)))
    for first, second in combinations(range(len(tiles)), 2):
        if meet(tiles[first], tiles[second]):
            of_first, of_second = (range(starts[tile], starts[tile + 1]) for tile in (first, second))
            for i, j in _pairs(masks, of_first, of_second, shared(tiles[first], tiles[second]), image_hw):
                group[_root(group, j)] = _root(group, i)
    members: dict[int, list[Candidate]] = {}
    for i, candidate in enumerate(masks):
        members.setdefault(_root(group, i), []).append(candidate)
    return list(members.values())


def _pairs(masks: list[Candidate], first: range, second: range, part: Crop, image_hw: HW) -> Iterator[tuple[int, int]]:
    """Numbers of masks of two tiles that are one object: each other's best match, one of them cut."""
    scores: dict[tuple[int, int], float] = {}
    seen = {i: masks[i].within(part) for i in (*first, *second) if meet(masks[i].window, part)}
    cut = {i for i in seen if touches_inner_edge(masks[i].box, masks[i].crop, image_hw)}
    for i in (i for i in first if i in seen):
        for j in (j for j in second if j in seen and (i in cut or j in cut)):
            union = np.count_nonzero(seen[i] | seen[j])
            score = np.count_nonzero(seen[i] & seen[j]) / union if union else 0.0
            if score >= AGREE:
                scores[i, j] = score
    for (i, j), score in scores.items():
        if score == max(other for (a, b), other in scores.items() if a == i or b == j):
            yield i, j


def _root(group: list[int], i: int) -> int:
    while group[i] != i:
        i = group[i]
    return i


def joined(parts: list[Candidate], image_hw: HW) -> Candidate | None:
    """One mask of the parts of an object, or None where it still ends at a tile's inner edge.

    Its scores are the parts' weighted by area, its click the largest part's.
    """
    windows = np.array([part.window for part in parts])
    (x1, y1), (x2, y2) = windows[:, :2].min(axis=0).tolist(), windows[:, 2:].max(axis=0).tolist()
    is_whole_somewhere = any(not touches_inner_edge(part.box, part.crop, image_hw) for part in parts)
    union = x1, y1, x2 - 1, y2 - 1
    if not is_whole_somewhere and any(touches_inner_edge(union, part.crop, image_hw) for part in parts):
        return None
    if len(parts) == 1:
        return parts[0]
    pixels = np.zeros((y2 - y1, x2 - x1), bool)
    for part in parts:
        left, top, right, bottom = part.window
        pixels[top - y1 : bottom - y1, left - x1 : right - x1] |= part.inside
    areas = np.array([part.area for part in parts], np.float64)
    whole = replace(
        parts[int(areas.argmax())],
        predicted_iou=float(np.average([part.predicted_iou for part in parts], weights=areas)),
        stability_score=float(np.average([part.stability_score for part in parts], weights=areas)),
        crop=(0, 0, image_hw[1], image_hw[0]),
    )
    return whole.covering(pixels, (x1, y1))
