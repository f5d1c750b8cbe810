"""What programs that can't be had here do with a SAM, in our own words: each their order of calls, on one embedding.

docs/clients.md says where each of them does it. All answers are compared with `mobilesam.SAM` on the same weights.
"""

from __future__ import annotations

import base64
import io
from functools import cache

import numpy as np
import pytest
import torch
from mobilesam.compat.mobile_sam.utils.transforms import ResizeLongestSide

from conftest import COFFEE, load_sam
from mobilesam import Embedding, Results
from mobilesam.compat import mobile_sam, segment_anything
from mobilesam.image import to_rgb
from programs import mask_iou

CUP, SAUCER = [170.0, 15.0, 425.0, 310.0], [100.0, 150.0, 520.0, 380.0]
POINT = [300, 200]
STATE = ("features", "original_size", "input_size", "is_image_set")
Predictor = mobile_sam.SamPredictor


@pytest.fixture(scope="module")
def model():
    return mobile_sam.sam_model_registry["vit_t"]("mobilesam")


@pytest.fixture(scope="module")
def kept(model) -> dict:
    """The photo's state, read from a predictor's public attributes; the only pass of the encoder."""
    predictor = Predictor(model)
    predictor.set_image(to_rgb(COFFEE))
    return {name: getattr(predictor, name) for name in STATE}


@pytest.fixture
def predictor(model, kept):
    """A predictor that never saw the photo; its state is assigned, as napari-sam, micro-sam and SA3D do."""
    made = Predictor(model)
    for name, value in kept.items():
        setattr(made, name, value)
    return made


@cache
def embedding() -> Embedding:
    return load_sam("pytorch").embed(COFFEE)


def ours(**prompt) -> Results:
    return load_sam("pytorch").predict(embedding(), **prompt)[0]


def same(masks, expected: np.ndarray) -> None:
    masks = np.asarray(masks)
    assert masks.dtype == bool
    assert masks.shape == expected.shape
    for mask, other in zip(masks, expected, strict=True):
        assert mask_iou(mask, other) > 0.999


# Grounded-Segment-Anything


def test_grounded_sam_loops_over_boxes_and_takes_the_best(predictor) -> None:
    boxes = np.array([CUP, SAUCER], np.float32)
    found = []
    for box in boxes:
        masks, scores, _ = predictor.predict(box=box, multimask_output=True)
        found.append(masks[np.argmax(scores)])
    same(found, ours(bboxes=boxes, multimask=True).best().masks)


def test_grounded_sam_sends_all_boxes_at_once(predictor) -> None:
    boxes = predictor.transform.apply_boxes_torch(torch.tensor([CUP, SAUCER]), (400, 600)).to(predictor.device)
    masks, _, _ = predictor.predict_torch(point_coords=None, point_labels=None, boxes=boxes, multimask_output=False)
    assert masks.shape == (2, 1, 400, 600)
    same(masks[:, 0], ours(bboxes=[CUP, SAUCER]).masks)


def test_grounded_sams_own_encoder_returns_a_pair(model, kept, monkeypatch) -> None:
    monkeypatch.setattr(type(model.image_encoder), "forward", lambda self, x: (kept["features"], None))
    predictor = Predictor(model)
    predictor.set_image(to_rgb(COFFEE))
    same(predictor.predict(box=np.array(CUP), multimask_output=False)[0], ours(bboxes=CUP).masks)


def test_a_model_in_training_mode_is_warned_of(model) -> None:
    """Its script never calls eval(): BatchNorm would follow each photo."""
    model.train()
    try:
        with pytest.warns(UserWarning, match="training mode"):
            Predictor(model)
    finally:
        model.eval()


# Label Studio's ML backend


def test_label_studio_replaces_torchs_functions(predictor, monkeypatch) -> None:
    """It patches torch.as_tensor and Tensor.numpy with functions that take no other arguments."""
    as_tensor, numpy = torch.as_tensor, torch.Tensor.numpy
    monkeypatch.setattr(torch, "as_tensor", lambda data, dtype=None, device=None: as_tensor(data, dtype=dtype))
    monkeypatch.setattr(torch.Tensor, "numpy", lambda self: numpy(self.detach()))
    percent = np.array([[50.0, 50.0]], np.float32)
    masks, _, _ = predictor.predict(
        point_coords=percent * np.array([6, 4], np.float32),
        point_labels=np.array([1], np.float32),
        box=np.array(CUP, np.float32),
        multimask_output=False,
    )
    features = predictor.get_image_embedding().cpu().numpy()
    assert (features.shape, features.dtype) == ((1, 256, 64, 64), np.float32)
    same(masks, ours(points=[POINT], bboxes=[CUP]).masks)
    assert set(np.unique(masks[0].astype(np.uint8) * 255)) == {0, 255}


# ComfyUI's Impact Pack


def test_comfyui_takes_any_file_for_a_vit_b(predictor) -> None:
    """The builder is chosen by the file's name; "mobile_sam" means vit_b to it."""
    with pytest.warns(UserWarning, match="is a mobile_sam, not a sam_vit_b"):
        sam = segment_anything.sam_model_registry["vit_b"](checkpoint="mobilesam")
    assert len(sam.state_dict()) == 439
    sam.sam_wrapper = object()  # what it hangs on the model
    assert sam.to("cpu").device == torch.device("cpu")


def test_comfyui_joins_all_masks_above_a_threshold(predictor) -> None:
    masks, scores, _ = predictor.predict(
        point_coords=np.array([POINT]), point_labels=np.array([1]), box=np.array([CUP])
    )
    joined = np.zeros((400, 600), bool)
    for mask, score in zip(masks, scores, strict=True):
        if score >= 0.9:
            joined |= mask
    expected = ours(points=[POINT], bboxes=[CUP], multimask=True)
    assert (expected.iou >= 0.9).any()
    same([joined], expected.masks[expected.iou >= 0.9].any(axis=0)[None])


# napari-sam


def test_napari_sam_looks_every_key_up_in_its_own_table() -> None:
    addresses = {"default": 0, "vit_h": 0, "vit_l": 0, "vit_b": 0}
    assert [addresses[key] for key in segment_anything.sam_model_registry] == [0, 0, 0, 0]
    assert segment_anything.sam_model_registry["vit_t"] is mobile_sam.build_sam_vit_t
    assert list(mobile_sam.sam_model_registry) == ["default", "vit_h", "vit_l", "vit_b", "vit_t"]


def test_napari_sam_flips_points_and_sends_logits_back(predictor) -> None:
    yx = np.array([POINT[::-1]])
    points, labels = np.flip(yx, axis=-1), np.array([1])
    assert points.strides[-1] < 0
    _, _, logits = predictor.predict(points, labels, multimask_output=False)
    masks, _, again = predictor.predict(points, labels, mask_input=logits, multimask_output=False)
    first = ours(points=[POINT])
    same(masks, ours(points=[POINT], masks=first.low_res).masks)
    assert abs(again - logits).max() > 0.1  # the earlier mask was listened to


# Inpaint-Anything's app


def test_inpaint_anything_resets_and_restores_the_features_alone(predictor) -> None:
    features = predictor.features
    sizes = [getattr(predictor, name, None) for name in ("orig_h", "orig_w", "input_h", "input_w")]
    assert sizes == [None] * 4
    predictor.reset_image()
    with pytest.raises(RuntimeError, match="An image must be set"):
        predictor.predict(np.array([POINT]), np.array([1]))
    predictor.features, predictor.is_image_set = features, True
    masks, _, _ = predictor.predict(point_coords=np.array([POINT]), point_labels=np.array([1]), multimask_output=True)
    same(masks, ours(points=POINT, multimask=True).masks)


# FiftyOne


def test_fiftyone_drives_the_parts_itself(model, kept) -> None:
    transform = ResizeLongestSide(model.image_encoder.img_size)
    pixels = torch.from_numpy(transform.apply_image(to_rgb(COFFEE))).permute(2, 0, 1)[None]
    assert model.preprocess(pixels).shape == (1, 3, 1024, 1024)
    coords = torch.as_tensor(transform.apply_coords(np.array([[POINT, [0, 0]]], float), (400, 600)))
    assert coords.dtype == torch.float64
    sparse, dense = model.prompt_encoder(points=(coords, torch.tensor([[1, -1]])), boxes=None, masks=None)
    low, iou = model.mask_decoder(
        image_embeddings=kept["features"],
        image_pe=model.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    masks = model.postprocess_masks(low, pixels.shape[-2:], (400, 600)) > model.mask_threshold
    assert masks.shape == (1, 3, 400, 600)
    # Its padding and the encoder's own: a token more than a click has elsewhere.
    tokens = np.array([[POINT, [0, 0], [0, 0]]]) * np.array([1024 / 600, 683 / 400])
    expected_low, expected_iou = load_sam("pytorch").predictor.backend.decode(
        embedding().features_bchw, tokens.astype(np.float32), np.array([[1, -1, -1]], np.float32)
    )
    np.testing.assert_allclose(low.detach(), expected_low[:, 1:], atol=1e-2)
    np.testing.assert_allclose(iou.detach(), expected_iou[:, 1:], atol=1e-4)


# sd-webui-segment-anything


class PredictorHq(Predictor):
    """Overrides two steps that the others must go through."""

    calls: list[str]

    def set_torch_image(self, transformed_image, original_image_size) -> None:
        self.calls.append("set_torch_image")
        assert transformed_image.shape == (1, 3, 683, 1024)
        self.original_size, self.input_size = original_image_size, tuple(transformed_image.shape[-2:])
        self.is_image_set = True

    def predict_torch(self, *arguments, **options):
        self.calls.append("predict_torch")
        return super().predict_torch(*arguments, **options)


class GeneratorHq(mobile_sam.SamAutomaticMaskGenerator):
    """Takes a predictor, sets each attribute itself, and never calls the base class's __init__."""

    def __init__(self, predictor) -> None:
        self.predictor = predictor
        self.point_grids = [np.array([[0.5, 0.5], [0.1, 0.1], [0.6, 0.9]])]
        self.points_per_batch, self.crop_n_layers, self.crop_overlap_ratio = 2, 0, 512 / 1500
        self.crop_n_points_downscale_factor, self.min_mask_region_area = 1, 0
        self.pred_iou_thresh, self.stability_score_thresh, self.stability_score_offset = 0.8, 0.9, 1.0
        self.box_nms_thresh = self.crop_nms_thresh = 0.7
        self.output_mode = "binary_mask"


@pytest.fixture
def hq(model, kept) -> PredictorHq:
    made = PredictorHq(model)
    made.calls, made.features = [], kept["features"]
    return made


def test_sd_webuis_predictor_overrides_steps(hq: PredictorHq, kept) -> None:
    hq.set_image(to_rgb(COFFEE))
    hq.features = kept["features"]
    same(hq.predict(box=np.array(CUP), multimask_output=False)[0], ours(bboxes=CUP).masks)
    assert hq.calls == ["set_torch_image", "predict_torch"]


def test_sd_webuis_generator_without_the_base_classs_init(hq: PredictorHq) -> None:
    records = GeneratorHq(hq).generate(to_rgb(COFFEE))
    assert hq.calls == ["set_torch_image", "predict_torch", "predict_torch"]
    assert records
    for record in records:
        expected = ours(points=record["point_coords"], multimask=True).masks
        assert max(mask_iou(record["segmentation"], mask) for mask in expected) > 0.999


def test_sd_webui_turns_many_boxes_masks_around(predictor) -> None:
    boxes = predictor.transform.apply_boxes_torch(torch.tensor([CUP, SAUCER]), (400, 600))
    masks, _, _ = predictor.predict_torch(None, None, boxes=boxes, multimask_output=True)
    turned = masks.permute(1, 0, 2, 3).cpu().numpy()
    expected = ours(bboxes=[CUP, SAUCER], multimask=True).masks.reshape(2, 3, 400, 600)
    for layer in range(3):
        same(turned[layer], expected[:, layer])


# CVAT's serverless function


def test_cvat_sends_the_embedding_as_raw_bytes(predictor) -> None:
    features = predictor.get_image_embedding()
    assert not features.requires_grad
    assert features.is_contiguous()
    blob = base64.b64encode(features.cpu().numpy())
    raw = base64.b64decode(blob)
    assert len(raw) == 4_194_304
    sent = np.frombuffer(raw, np.float32).reshape(1, 256, 64, 64)
    np.testing.assert_allclose(sent, embedding().features_bchw, atol=1e-4)


# Segment Anything in 3D


def test_sa3d_saves_features_and_prompts_with_tensors(predictor, model) -> None:
    stored = io.BytesIO()
    torch.save(predictor.features, stored)
    stored.seek(0)
    other = Predictor(model)
    other.original_size, other.input_size = predictor.original_size, predictor.input_size
    other.features = torch.load(stored, weights_only=True)
    other.is_image_set = True
    points = np.array([[torch.tensor(300), torch.tensor(200)]])  # 0-d tensors become integers
    assert points.dtype.kind == "i"
    masks, scores, _ = other.predict(point_coords=points, point_labels=np.array([1]), multimask_output=False)
    direct = predictor.predict(point_coords=points, point_labels=np.array([1]), multimask_output=False)
    np.testing.assert_array_equal(masks, direct[0])
    assert np.argmax(scores) == 0
    same(masks, ours(points=POINT).masks)
    assert (1 - masks[0].astype(np.float32)).min() == 0
