"""Predictor, automatic mask generator and its helpers against the reference's, number for number."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from PIL import Image
from test_meta_values import LOGITS, PACKAGE, both, close, drawn
from torch import nn

from conftest import COFFEE
from mobilesam.masks import rle_decode

OURS = f"mobilesam.compat.{PACKAGE}"


def amg(name: str) -> tuple[Any, Any]:
    return both("utils.amg", name)


@pytest.fixture(scope="module")
def sams() -> tuple[Any, Any]:
    theirs, ours = reference.tiny(PACKAGE), reference.tiny(OURS)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    random = np.random.default_rng(3)
    return random.integers(0, 255, (60, 90, 3), np.uint8)


def predictors(sams) -> list[Any]:
    return [cls(sam) for cls, sam in zip(both("predictor", "SamPredictor"), sams, strict=True)]


POINTS, LABELS = np.array([[30, 20], [5, 50]]), np.array([1, 0])
CALLS: dict[str, dict[str, Any]] = {
    "points": {"point_coords": POINTS, "point_labels": LABELS},
    "box": {"box": np.array([10, 5, 70, 50])},
    "box of one row": {"box": np.array([[10.0, 5, 70, 50]], np.float32)},
    "all": {"point_coords": POINTS, "point_labels": LABELS, "box": np.array([10, 5, 70, 50]),
            "mask_input": np.random.default_rng(0).normal(size=(1, 16, 16))},
    "nothing": {},
    "one mask": {"point_coords": POINTS[:1], "point_labels": LABELS[:1], "multimask_output": False},
}  # fmt: skip


@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
@pytest.mark.parametrize("call", CALLS)
def test_predict(sams, photo, call: str, image_format: str) -> None:
    answers = []
    for predictor in predictors(sams):
        predictor.set_image(photo, image_format)
        answers.append(predictor.predict(**CALLS[call], return_logits=True))
        assert predictor.predict(**CALLS[call])[0].dtype == bool
        assert predictor.get_image_embedding() is predictor.features
        assert (predictor.original_size, predictor.input_size) == ((60, 90), (43, 64))
    for ours, theirs in zip(answers[1], answers[0], strict=True):
        close(ours, theirs, LOGITS)


def test_predict_torch_and_set_torch_image(sams) -> None:
    pixels = torch.randint(0, 255, (1, 3, 43, 64), generator=torch.Generator().manual_seed(1))
    answers = []
    for predictor in predictors(sams):
        predictor.set_torch_image(pixels, (60, 90))
        coords, labels = torch.tensor([[[3.0, 4]], [[50, 20]]]), torch.ones(2, 1, dtype=torch.int)
        answers += [predictor.predict_torch(coords, labels, multimask_output=False, return_logits=True)]
        boxes = predictor.transform.apply_boxes_torch(torch.tensor([[1, 2, 30, 40], [5, 5, 60, 60]]), (60, 90))
        answers += [predictor.predict_torch(None, None, boxes, answers[-1][2], return_logits=True)]
    for expected, found in zip(answers[:2], answers[2:], strict=True):
        for a, b in zip(found, expected, strict=True):
            close(a, b, LOGITS)


class Remembered(nn.Module):
    """One encoder for both sides, which doesn't encode a photo twice: encoders are compared elsewhere."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.img_size, self.known = encoder, encoder.img_size, {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        key = hash(x.numpy().tobytes())
        if key not in self.known:
            self.known[key] = self.encoder(x)
        return self.known[key]


@pytest.fixture(scope="module")
def real_sams() -> tuple[Any, Any]:
    """Theirs and ours with the bundled weights."""
    build_theirs, build_ours = both("build_sam", "build_sam_vit_t")
    theirs, ours = build_theirs(), build_ours("mobilesam")
    theirs.load_state_dict(ours.state_dict(), strict=True)
    theirs.image_encoder = ours.image_encoder = Remembered(ours.image_encoder)
    return theirs.eval(), ours


GENERATORS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "compressed, no specks": {"output_mode": "coco_rle", "min_mask_region_area": 2000, "stability_score_offset": 3.0},
    "own points": {"output_mode": "uncompressed_rle", "points_per_side": None, "points_per_batch": 5,
                   "point_grids": [np.random.default_rng(1).uniform(size=(12, 2))], "pred_iou_thresh": 0.0,
                   "box_nms_thresh": 0.99},
    "crops": {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2, "pred_iou_thresh": 0.6},
    "nothing passes": {"pred_iou_thresh": 1.1},
}  # fmt: skip


@pytest.mark.parametrize("name", GENERATORS)
def test_generate(real_sams, name: str) -> None:
    options = {"points_per_side": 4, "stability_score_thresh": 0.8} | GENERATORS[name]
    photo = np.array(Image.open(COFFEE).convert("RGB"))
    classes = both("automatic_mask_generator", "SamAutomaticMaskGenerator")
    expected, found = (cls(sam, **options).generate(photo) for cls, sam in zip(classes, real_sams, strict=True))
    assert len(found) == len(expected)
    assert (len(expected) > 2) == (name != "nothing passes")
    for ours, theirs in zip(found, expected, strict=True):
        assert list(ours) == list(theirs)
        assert {key: type(value) for key, value in ours.items()} == {key: type(value) for key, value in theirs.items()}
        masks = [decoded(record["segmentation"]) for record in (ours, theirs)]
        assert (masks[0] != masks[1]).sum() <= 2
        assert abs(ours["area"] - theirs["area"]) <= 2
        for key in ("bbox", "point_coords", "crop_box", "predicted_iou", "stability_score"):
            np.testing.assert_allclose(ours[key], theirs[key], atol=1e-3)


def decoded(segmentation: Any) -> np.ndarray:
    if isinstance(segmentation, np.ndarray):
        return segmentation
    if isinstance(segmentation["counts"], str):
        return rle_decode(segmentation)
    return amg("rle_to_mask")[0](segmentation)


MASKS = st_np.arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))


@given(MASKS)
def test_run_lengths_boxes_and_areas(masks: np.ndarray) -> None:
    tensor = torch.from_numpy(masks)
    their_rles, our_rles = (encode(tensor) for encode in amg("mask_to_rle_pytorch"))
    assert our_rles == their_rles
    assert all(type(count) is int for rle in our_rles for count in rle["counts"])
    for mask, rle in zip(masks, our_rles, strict=True):
        theirs, ours = (decode(rle) for decode in amg("rle_to_mask"))
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, mask)
        their_area, our_area = (area(rle) for area in amg("area_from_rle"))
        assert our_area == their_area == mask.sum()
        theirs, ours = (encode(rle) for encode in amg("coco_encode_rle"))
        assert ours == theirs
    for shaped in (tensor, tensor[0], tensor[None]):
        theirs, ours = (box(shaped) for box in amg("batched_mask_to_box"))
        close(ours, theirs)


def test_boxes_of_no_masks() -> None:
    theirs, ours = (box(torch.zeros(0, 4, 5, dtype=torch.bool)) for box in amg("batched_mask_to_box"))
    close(ours, theirs)


@given(MASKS, st.integers(1, 12), st.sampled_from(["holes", "islands"]))
def test_small_regions(masks: np.ndarray, area: int, mode: str) -> None:
    (theirs, changed), (ours, is_changed) = (remove(masks[0], area, mode) for remove in amg("remove_small_regions"))
    np.testing.assert_array_equal(ours, theirs)
    assert is_changed == changed


def test_stability_with_nothing_in_it() -> None:
    logits = torch.cat([drawn(3, 5, 6), torch.full((1, 5, 6), -9.0)])
    theirs, ours = (score(logits, 0.1, 0.5) for score in amg("calculate_stability_score"))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert torch.isnan(ours[-1])


@pytest.mark.parametrize("n", [1, 3, 32])
def test_grids(n: int) -> None:
    theirs, ours = (grid(n) for grid in amg("build_point_grid"))
    close(ours, theirs, 1e-12)
    for theirs, ours in zip(*(grids(n, 2, 1) for grids in amg("build_all_layer_point_grids")), strict=True):
        close(ours, theirs, 1e-12)


@pytest.mark.parametrize("hw", [(60, 90), (1200, 1800), (7, 100)])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_crops(hw: tuple[int, int], layers: int) -> None:
    theirs, ours = (boxes(hw, layers, 512 / 1500) for boxes in amg("generate_crop_boxes"))
    assert ours == theirs


def test_uncropping() -> None:
    crop, (height, width) = [10, 5, 50, 45], (60, 90)
    for boxes in (torch.randint(0, 40, (6, 4)), torch.randint(0, 40, (6, 2, 4))):
        theirs, ours = (uncrop(boxes, crop) for uncrop in amg("uncrop_boxes_xyxy"))
        close(ours, theirs)
    for points in (torch.rand(6, 2), torch.rand(6, 2, 2)):
        theirs, ours = (uncrop(points, crop) for uncrop in amg("uncrop_points"))
        close(ours, theirs)
    masks = torch.rand(2, 40, 40) > 0.5
    for box in (crop, [0, 0, 40, 40]):
        sizes = (height, width) if box is crop else (40, 40)
        theirs, ours = (uncrop(masks, box, *sizes) for uncrop in amg("uncrop_masks"))
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    boxes = torch.randint(0, 40, (50, 4))
    theirs, ours = (near(boxes, crop, [0, 0, width, height], 4.0) for near in amg("is_box_near_crop_edge"))
    assert torch.equal(ours, theirs)
    assert 0 < ours.sum() < 50
    for box in (torch.tensor([1, 2, 5, 9]), np.array([1, 2, 5, 9]), [1, 2, 5, 9]):
        theirs, ours = (convert(box) for convert in amg("box_xyxy_to_xywh"))
        assert list(ours) == list(theirs) == [1, 2, 4, 7]
        assert list(box) == [1, 2, 5, 9], "the caller's box stays as it is"


def test_batches() -> None:
    theirs, ours = (list(batches(3, list("abcdefg"), np.arange(7))) for batches in amg("batch_iterator"))
    assert [[list(x) for x in batch] for batch in ours] == [[list(x) for x in batch] for batch in theirs]
    for batches in amg("batch_iterator"):
        with pytest.raises(AssertionError, match="all the same size"):
            next(batches(3, [1, 2], [1]))


def test_mask_data() -> None:
    results = []
    for cls in amg("MaskData"):
        data = cls(a=torch.arange(4), b=np.arange(4), c=list("abcd"))
        data["d"] = [[0], [1], [2], [3]]
        data.filter(torch.tensor([True, False, True, True]))
        data.cat(cls(a=torch.tensor([9]), b=np.array([9]), c=["x"], d=[[9]]))
        data.filter(torch.tensor([3, 0]))
        data.to_numpy()
        del data["b"]
        empty = cls()
        empty.cat(data)
        results.append({key: np.asarray(value).tolist() for key, value in empty.items()})
        with pytest.raises(AssertionError, match="only supports"):
            data["e"] = 3
        with pytest.raises(AssertionError, match="only supports"):
            cls(e="text")
    assert results[1] == results[0] == {"a": [9, 0], "c": ["x", "a"], "d": [[9], [0]]}


def test_joined_data_is_not_the_callers() -> None:
    for cls in amg("MaskData"):
        mine, theirs = cls(), cls(a=[[1]])
        mine.cat(theirs)
        mine["a"][0].append(2)
        assert theirs["a"] == [[1]]


def test_small_regions_of_all_masks() -> None:
    masks = torch.rand(5, 20, 30, generator=torch.Generator().manual_seed(4)) > 0.35
    masks[3, :10] = True
    answers = []
    for package in (reference.load(PACKAGE, "automatic_mask_generator"),
                    importlib.import_module(f"{OURS}.automatic_mask_generator")):  # fmt: skip
        rles = package.mask_to_rle_pytorch(masks)
        data = package.MaskData(rles=rles, boxes=package.batched_mask_to_box(masks).numpy(), points=np.arange(5))
        data = package.SamAutomaticMaskGenerator.postprocess_small_regions(data, 8, 0.99)
        answers.append({key: np.asarray(value).tolist() if key != "rles" else value for key, value in data.items()})
    assert answers[1] == answers[0]
