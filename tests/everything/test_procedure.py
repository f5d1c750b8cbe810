from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from conftest import COFFEE, load_sam, read_golden
from mobilesam import SAM, Embedding, InputError
from mobilesam.backends import RUNTIMES
from mobilesam.everything import OVERLAPS, QUALITIES, Candidate, EverythingConfig
from mobilesam.everything.candidate import touches_inner_edge
from mobilesam.everything.clean import cleaned
from mobilesam.everything.suppress import without_duplicates
from mobilesam.masks import iou, rle_decode
from mobilesam.testing import FakeBackend

BLANK = np.full((120, 160, 3), 90, np.uint8)


def fake(radius: float = 64) -> SAM:
    return SAM.from_backend(FakeBackend(radius))


def candidate(x1: int, y1: int, x2: int, y2: int, iou_: float = 0.9, crop=(0, 0, 100, 100)) -> Candidate:
    return masked(np.ones((y2 - y1, x2 - x1), bool), (x1, y1), iou_, crop)


def masked(inside: np.ndarray, corner=(0, 0), iou_: float = 0.9, crop=(0, 0, 100, 100)) -> Candidate:
    empty = Candidate((0, 0, 0, 0), np.zeros((0, 0), np.uint8), 0, iou_, 1.0, (0.0, 0.0), crop)
    return empty.covering(inside, corner)


AMG = ("coffee", "astronaut")


@pytest.mark.parametrize("name", AMG)
def test_the_masks_are_upstreams(name: str) -> None:
    """Upstream's automatic masks of a whole grid, each of them and no other, with their scores and boxes."""
    golden = read_golden(name)
    scene = load_sam("openvino", "fp32").everything(golden.image, quality="exact")
    assert len(scene) == len(golden.facts["amg"])
    for expected in golden.facts["amg"]:
        overlaps = [iou(mask, rle_decode(expected["segmentation"])) for mask in scene.masks]
        assert max(overlaps) >= 0.95
        record = scene[int(np.argmax(overlaps))]
        # One of coffee's masks has a stability of 0.950029: with the bundled, rounded weights it is dropped, and
        # a near-duplicate with other scores stays.
        assert record["predicted_iou"] == pytest.approx(expected["predicted_iou"], abs=2e-2)
        assert record["stability_score"] == pytest.approx(expected["stability_score"], abs=2e-2)
        assert record["crop_box"] == expected["crop_box"]


def test_the_default_precision_finds_nearly_all_of_upstreams_masks() -> None:
    """Over both photos: of 13 masks a single borderline one is 8 %, and bf16 may win or lose one."""
    hits: dict[str, list[bool]] = {"theirs": [], "ours": []}
    for name in AMG:
        golden = read_golden(name)
        ours = list(load_sam("openvino", "auto").everything(golden.image, quality="exact").masks)
        theirs = [rle_decode(record["segmentation"]) for record in golden.facts["amg"]]
        hits["theirs"] += [max(iou(a, b) for b in ours) >= 0.95 for a in theirs]
        hits["ours"] += [max(iou(a, b) for b in theirs) >= 0.95 for a in ours]
    assert np.mean(hits["theirs"]) >= 0.93
    assert np.mean(hits["ours"]) >= 0.93


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime(runtime: str, quality: str) -> None:
    arguments = {"points_per_side": 4, "output_mode": "coco_rle", "quality": quality}
    scene = load_sam(runtime).everything(COFFEE, **arguments)
    reference = load_sam("pytorch").everything(COFFEE, **arguments)
    assert len(scene) == len(reference) > 2
    for ours, theirs in zip(scene, reference, strict=True):
        assert ours["area"] == pytest.approx(theirs["area"], rel=1e-3)
        assert ours["point_coords"] == theirs["point_coords"]


def test_defaults_are_metas_and_ours_change_no_filter() -> None:
    ours = {"quality", "look_slack", "look_nms_thresh", "overlap", "max_masks", "tiles", "tile_overlap"}
    defaults = {f.name: f.default for f in fields(EverythingConfig)}
    assert {name: value for name, value in defaults.items() if name not in ours} == {
        "points_per_side": 32, "points_per_batch": 64, "pred_iou_thresh": 0.88, "stability_score_thresh": 0.95,
        "stability_score_offset": 1.0, "box_nms_thresh": 0.7, "crop_n_layers": 0, "crop_nms_thresh": 0.7,
        "crop_overlap_ratio": 512 / 1500, "crop_n_points_downscale_factor": 1, "point_grids": None,
        "min_mask_region_area": 0,
    }  # fmt: skip
    assert (defaults["quality"], defaults["overlap"], defaults["tiles"]) == ("fast", "all", None)


def test_the_thresholds_filter() -> None:
    """The fake's masks have predicted IoU 0.7, 0.9, 0.8 and radii of half, one and twice 64 model pixels."""
    grid = {"points_per_side": 3, "stability_score_thresh": 0.9}
    assert {round(r["predicted_iou"], 3) for r in fake().everything(BLANK, **grid)} == {0.9}
    low = fake().everything(BLANK, pred_iou_thresh=0.75, box_nms_thresh=1.0, **grid)
    assert sorted({round(r["predicted_iou"], 3) for r in low}) == [0.8, 0.9]
    unstable = fake(radius=4).everything(BLANK, points_per_side=3, stability_score_thresh=0.9)
    assert len(unstable) == 0


def test_own_grids_and_their_points() -> None:
    scene = fake().everything(
        BLANK, points_per_side=None, point_grids=[np.array([[0.25, 0.5]])], stability_score_thresh=0.9
    )
    assert [r["point_coords"] for r in scene] == [[[40.0, 60.0]]]
    area = np.pi * (64 * 160 / 1024) ** 2
    assert scene[0]["area"] == pytest.approx(area, rel=0.1)
    assert scene[0]["crop_box"] == [0, 0, 160, 120]


def test_crops_see_small_things_and_report_their_box() -> None:
    scene = fake().everything(BLANK, points_per_side=4, crop_n_layers=1, stability_score_thresh=0.8)
    crops = {tuple(r["crop_box"]) for r in scene}
    assert len(crops) > 1
    for r in scene:
        x, y, w, h = r["crop_box"]
        ((px, py),) = r["point_coords"]
        assert x <= px <= x + w
        assert y <= py <= y + h


def test_a_mask_cut_by_a_crops_inner_edge_is_dropped() -> None:
    hw, crop = (400, 600), (0, 0, 300, 400)
    assert touches_inner_edge(candidate(200, 100, 295, 200).box, crop, hw)
    assert not touches_inner_edge(candidate(100, 100, 250, 200).box, crop, hw)
    assert not touches_inner_edge(candidate(0, 100, 250, 400).box, crop, hw)  # the image's own edges


def test_suppression_keeps_the_better_of_two() -> None:
    same, other = candidate(0, 0, 50, 50), candidate(1, 1, 51, 51)
    far = candidate(80, 80, 90, 90)
    assert without_duplicates([same, other, far], np.array([0.5, 0.9, 0.1]), 0.7) == [other, far]
    assert without_duplicates([same, other], np.array([0.5, 0.5]), 0.7) == [same]  # ties: the first
    assert without_duplicates([], np.array([]), 0.7) == []


def test_holes_and_specks_go() -> None:
    inside = np.ones((40, 40), bool)
    inside[10:13, 10:13] = False  # a hole of 9
    inside[20:30, 20:30] = False  # and one of 100, with a speck of 4 in it
    inside[24:26, 24:26] = True
    dirty = masked(inside, (10, 10))
    (clean,) = cleaned([dirty], (100, 100), 50, 0.7)
    expected = np.zeros((100, 100), bool)
    expected[10:50, 10:50] = True
    expected[30:40, 30:40] = False
    np.testing.assert_array_equal(clean.mask((100, 100)), expected)
    tidy = candidate(0, 0, 60, 60)
    assert cleaned([tidy], (100, 100), 50, 0.7) == [tidy]


def test_a_mask_of_specks_keeps_its_largest() -> None:
    specks = np.zeros((10, 10), bool)
    specks[0, 0:2] = specks[5:8, 5:8] = True
    found = masked(specks)
    (clean,) = cleaned([found], (20, 20), 50, 0.7)
    assert (clean.window, clean.area) == ((5, 5, 8, 8), 9)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("hw", [(1, 1), (1, 5000), (300, 2), (64, 64)])
def test_odd_pictures_are_no_obstacle(hw: tuple[int, int], quality: str) -> None:
    """One colour, one pixel, a line: whatever is found has the photo's size."""
    one_colour = np.full((*hw, 3), 128, np.uint8)
    scene = load_sam("openvino").everything(one_colour, points_per_side=2, quality=quality)
    assert scene.masks.shape == (len(scene), *hw)


def test_the_same_bytes_every_time_and_with_any_thread_count() -> None:
    for quality in QUALITIES:
        documents = {
            SAM(runtime="openvino", precision="fp32", threads=threads)
            .everything(COFFEE, points_per_side=6, quality=quality)
            .to_json()
            for threads in (1, 2, 4, 2)
        }
        assert len(documents) == 1


def test_fast_finds_what_exact_finds() -> None:
    """On the example, with the default thresholds: most of exact's masks, from fewer clicks."""
    sam = load_sam("openvino")
    embedding = sam.embed(COFFEE)
    exact = sam.everything(embedding, points_per_side=16, quality="exact")
    fast = sam.everything(embedding, points_per_side=16)
    assert len(exact) > 5
    found = [max(iou(mask, other) for other in fast.masks) for mask in exact.masks]
    assert np.mean(np.array(found) >= 0.85) >= 0.85


def test_a_click_that_finds_nothing_in_the_first_look_is_not_decoded() -> None:
    """Every click finds the whole photo: after the first look one is enough."""

    class Counting(FakeBackend):
        decoded = 0

        def decode(self, features_bchw, coords_bn2, labels_bn, mask_b1hw=None):
            if features_bchw.shape[-1] == 64:
                Counting.decoded += len(coords_bn2)
            return super().decode(features_bchw, coords_bn2, labels_bn, mask_b1hw)

    arguments = {"points_per_side": 16, "stability_score_thresh": 0.9}
    SAM.from_backend(Counting(1500)).everything(BLANK, **arguments)
    fast, Counting.decoded = Counting.decoded, 0
    SAM.from_backend(Counting(1500)).everything(BLANK, quality="exact", **arguments)
    assert 8 == fast < Counting.decoded == 256  # a batch of 8


def test_small_and_large_masks_have_their_full_size_scores() -> None:
    """The filters judge large masks by their cells; what comes out is measured at full size."""
    sam = fake(200)
    scene = sam.everything(BLANK, points_per_side=2, stability_score_thresh=0.5, quality="exact")
    for candidate_ in scene.candidates:
        result = sam.predict(BLANK, points=candidate_.point, multimask=True)[0]
        overlaps = [iou(candidate_.mask(scene.image_hw), mask) for mask in result.masks]
        assert max(overlaps) > 0.999


@pytest.mark.parametrize("quality", QUALITIES)
def test_progress_ends_with_all_clicks(quality: str) -> None:
    seen: list[tuple[int, int]] = []
    arguments = {"points_per_side": 7, "stability_score_thresh": 0.8, "quality": quality}
    fake().everything(BLANK, progress=lambda *n: seen.append(n), **arguments)
    assert seen == sorted(seen)
    assert seen[-1] == (49, 49)


def test_masks_arrive_while_it_works_and_are_no_duplicates() -> None:
    arguments = {"points_per_side": 6, "stability_score_thresh": 0.8, "quality": "exact"}
    records = list(fake().iter_everything(BLANK, **arguments))
    boxes = [np.array(r["bbox"]) for r in records]
    assert len({tuple(box) for box in boxes}) == len(boxes) > 3
    scene = fake().everything(BLANK, **arguments)
    assert 0.7 * len(scene) <= len(records) <= 1.5 * len(scene)
    assert set(records[0]) == set(scene[0])
    with pytest.raises(InputError, match="max_masks needs all masks"):
        next(fake().iter_everything(BLANK, max_masks=3))


def test_the_best_few() -> None:
    arguments = {"points_per_side": 6, "stability_score_thresh": 0.8}
    every = fake().everything(BLANK, **arguments)
    few = fake().everything(BLANK, max_masks=3, **arguments)
    assert [r["bbox"] for r in few] == [r["bbox"] for r in every][:3]


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_overlaps_of_a_real_photo(overlap: str) -> None:
    scene = load_sam("openvino").everything(COFFEE, points_per_side=8, overlap=overlap)
    assert len(scene) > 3
    masks = scene.masks
    if overlap == "all":
        assert masks.sum(axis=0).max() > 1
        assert "parent_id" not in scene[0]
    elif overlap == "disjoint":
        assert masks.sum(axis=0).max() == 1
    else:
        parents = [(r["id"], r["parent_id"]) for r in scene if r["parent_id"] is not None]
        assert parents
        for child, parent in parents:
            assert (masks[child] & masks[parent]).sum() >= 0.9 * masks[child].sum()
            assert masks[parent].sum() > masks[child].sum()


BAD = {
    "unknown": ({"points_per_sid": 8}, "no argument 'points_per_sid'"),
    "both grids": ({"point_grids": [np.zeros((1, 2))]}, "either points_per_side or point_grids"),
    "no grid": ({"points_per_side": None}, "either points_per_side or point_grids"),
    "no points": ({"points_per_side": 0}, "1 or more"),
    "negative layers": ({"crop_n_layers": -1}, "0 or more"),
    "too few grids": (
        {"points_per_side": None, "point_grids": [np.zeros((1, 2))], "crop_n_layers": 1},
        r"crop_n_layers \+ 1 grids, got 1",
    ),
    "quality": ({"quality": "good"}, "quality must be one of fast, exact, got 'good'"),
    "overlap": ({"overlap": "some"}, "overlap must be one of all, disjoint, hierarchy"),
    "no masks": ({"max_masks": 0}, "max_masks must be 1 or more"),
    "tiny tiles": ({"tiles": 10}, "tiles must be 64 or more"),
    "tiles and crops": ({"tiles": 512, "crop_n_layers": 1}, "goes without crop_n_layers"),
    "tile overlap": ({"tiles": 512, "tile_overlap": 0.9}, r"within 0\.\.0\.75"),
    "mode": ({"output_mode": "png"}, "output_mode must be one of"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_arguments_that_dont_fit(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fake().everything(BLANK, **arguments)


def test_crops_need_the_photo() -> None:
    whole = fake().embed(BLANK)
    bare = Embedding(whole.features_bchw, whole.letterbox, whole.model_id)
    with pytest.raises(InputError, match="needs the photo"):
        fake().everything(bare, crop_n_layers=1)
    assert len(fake().everything(bare, points_per_side=2, stability_score_thresh=0.8)) > 0
