from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import COFFEE, load_sam
from mobilesam import SAM, Embedding, InputError
from mobilesam.everything import Candidate
from mobilesam.everything.tiles import groups, joined, with_whole
from mobilesam.grids import tile_boxes
from mobilesam.masks import iou
from mobilesam.testing import FakeBackend

HW = (100, 250)
TILES = [(0, 0, 150, 100), (100, 0, 250, 100)]


def part(x1: int, y1: int, x2: int, y2: int, tile: tuple[int, int, int, int], score: float = 0.9) -> Candidate:
    """A filled box as a mask that the model saw in a tile."""
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, score, 1.0, (0.0, 0.0), tile)
    return empty.covering(np.ones((y2 - y1, x2 - x1), bool), (x1, y1))


def test_an_object_over_the_seam_becomes_one() -> None:
    left, right = part(80, 40, 150, 60, TILES[0], 0.9), part(100, 40, 200, 60, TILES[1], 0.8)
    (group,) = groups([[left], [right]], TILES, HW)
    whole = joined(group, HW)
    assert whole.window == (80, 40, 200, 60)
    assert whole.area == 120 * 20
    assert whole.predicted_iou == pytest.approx((0.9 * 70 + 0.8 * 100) / 170)
    assert whole.crop == (0, 0, 250, 100)


def test_masks_that_disagree_where_the_tiles_overlap_stay_apart() -> None:
    left, right = part(80, 10, 150, 30, TILES[0]), part(100, 60, 200, 90, TILES[1])
    assert len(groups([[left], [right]], TILES, HW)) == 2


def test_whole_masks_in_the_overlap_are_left_to_suppression() -> None:
    once, twice = part(110, 40, 120, 60, TILES[0]), part(122, 40, 128, 60, TILES[1])
    assert len(groups([[once], [twice]], TILES, HW)) == 2


def test_a_mask_that_ends_at_a_seam_and_goes_on_nowhere_is_dropped() -> None:
    assert joined([part(80, 40, 150, 60, TILES[0])], HW) is None
    assert joined([part(0, 40, 60, 60, TILES[0])], HW) is not None  # the picture's own edge


def test_a_copy_that_is_cut_doesnt_spoil_the_whole_one() -> None:
    tiles = [(0, 0, 200, 100), (100, 0, 250, 100)]
    cut, whole = part(140, 40, 199, 60, tiles[0]), part(140, 40, 205, 60, tiles[1])
    (group,) = groups([[cut], [whole]], tiles, HW)
    assert joined(group, HW).window == (140, 40, 205, 60)


def test_the_overview_shows_what_no_tile_can() -> None:
    whole = [part(0, 0, 200, 90, (0, 0, 250, 100))]
    twin, fragment, small = part(0, 0, 190, 90, TILES[0]), part(20, 20, 120, 80, TILES[0]), part(5, 5, 15, 15, TILES[0])
    assert with_whole([twin, fragment, small], whole, 75) == [twin, small]
    assert with_whole([fragment], whole, 75) == whole
    assert with_whole([fragment], [], 75) == [fragment]


@pytest.mark.parametrize("side", [64, 100, 97])
@pytest.mark.parametrize("hw", [(1, 1), (64, 200), (301, 97), (100, 100)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.75])
def test_tiles_cover_the_picture_and_lie_in_it(hw, side, overlap) -> None:
    seen = np.zeros(hw, int)
    for x1, y1, x2, y2 in tile_boxes(hw, side, overlap):
        assert 0 <= x1 < x2 <= hw[1]
        assert 0 <= y1 < y2 <= hw[0]
        assert (x2 - x1, y2 - y1) == (min(side, hw[1]), min(side, hw[0]))
        seen[y1:y2, x1:x2] += 1
    assert seen.min() >= 1


def test_one_tile_is_the_plain_mode() -> None:
    sam = load_sam("openvino")
    plain = sam.everything(COFFEE, points_per_side=6)
    tiled = sam.everything(COFFEE, points_per_side=6, tiles=600)
    assert [c.window for c in tiled.candidates] == [c.window for c in plain.candidates]
    assert tiled.image is None
    assert tiled.with_photo(plain.image).plot().shape == (400, 600, 3)


def test_cup_and_saucer_are_one_object_though_no_tile_holds_them() -> None:
    sam = load_sam("openvino")
    plain = sam.everything(COFFEE, points_per_side=12)
    tiled = sam.everything(COFFEE, points_per_side=12, tiles=240)
    largest = plain.masks[int(plain.areas.argmax())]
    assert largest.sum() > 100_000
    assert max(iou(largest, mask) for mask in tiled.masks) > 0.95


def test_a_16_bit_tiff_and_its_array_and_embedding(tmp_path: Path) -> None:
    """Tiles share the picture's own range, so that a dark corner stays dark."""
    deep = np.asarray(Image.open(COFFEE).convert("L")).astype(np.uint16) * 200
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    sam = SAM.from_backend(FakeBackend(40))
    arguments = {"tiles": 256, "points_per_side": 4, "stability_score_thresh": 0.5}
    scene = sam.everything(tmp_path / "deep.tif", **arguments)
    assert len(scene) > 3
    assert scene.to_json().split("masks")[1] == sam.everything(deep, **arguments).to_json().split("masks")[1]
    embedding = sam.embed(deep)
    assert len(sam.everything(embedding, **arguments)) == len(scene)
    bare = Embedding(embedding.features_bchw, embedding.letterbox, embedding.model_id)
    with pytest.raises(InputError, match="needs the photo"):
        sam.everything(bare, **arguments)
