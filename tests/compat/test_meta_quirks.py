"""What programs in the wild rely on beyond the signatures, each as they do it, with the program's name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from PIL import Image
from torch import nn

from conftest import COFFEE
from mobilesam import CheckpointError, ImageError, InputError, WeightsNotFoundError, compat
from mobilesam.compat import mobile_sam, segment_anything
from mobilesam.compat.segment_anything.modeling import ImageEncoderViT, TinyViT
from mobilesam.compat.segment_anything.utils.transforms import ResizeLongestSide

POINT, LABEL = np.array([[300, 200]]), np.array([1])


@pytest.fixture(scope="module")
def sam() -> Any:
    return mobile_sam.sam_model_registry["vit_t"]("mobilesam")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.array(Image.open(COFFEE).convert("RGB"))


@pytest.fixture(scope="module")
def ready(sam, photo) -> Any:
    predictor = mobile_sam.SamPredictor(sam)
    predictor.set_image(photo)
    return predictor


@pytest.fixture
def small() -> Any:
    return reference.tiny("mobilesam.compat.mobile_sam")


def restored(sam: Any, ready: Any) -> Any:
    """A predictor that never saw set_image, with the public attributes of one that did (SA3D, micro-sam, caches)."""
    predictor = mobile_sam.SamPredictor(sam)
    predictor.features, predictor.original_size = ready.features, ready.original_size
    predictor.input_size, predictor.is_image_set = ready.input_size, True
    return predictor


def test_state_may_be_set_from_outside(sam, ready) -> None:
    for ours, direct in zip(restored(sam, ready).predict(POINT, LABEL), ready.predict(POINT, LABEL), strict=True):
        np.testing.assert_array_equal(ours, direct)


def test_any_attribute_may_be_attached(sam) -> None:
    predictor = mobile_sam.SamPredictor(sam)  # micro-sam, ComfyUI
    predictor.model_type = predictor._hash = predictor.model_name = predictor.model.sam_wrapper = "anything"
    predictor.features = np.zeros((1, 256, 64, 64))


def test_reset_keeps_the_sizes(sam, ready) -> None:
    """Inpaint-Anything reads orig_h ... (always None), resets, restores the features alone, and goes on."""
    predictor = restored(sam, ready)
    features = predictor.features
    predictor.reset_image()
    assert (predictor.is_image_set, predictor.features) == (False, None)
    assert (predictor.orig_h, predictor.orig_w, predictor.input_h, predictor.input_w) == (None,) * 4
    assert (predictor.original_size, predictor.input_size) == ((400, 600), (683, 1024))
    predictor.features, predictor.is_image_set = features, True
    assert predictor.predict(POINT, LABEL)[0].any()


def test_a_predictor_without_super_init(sam, ready) -> None:
    class SamGeoPredictor(mobile_sam.SamPredictor):
        def __init__(self, sam_model: Any) -> None:
            self.model = sam_model
            self.transform = ResizeLongestSide(sam_model.image_encoder.img_size)

    predictor = SamGeoPredictor(sam)
    predictor.set_torch_image(torch.zeros(1, 3, 683, 1024), (400, 600))
    predictor.features = ready.features
    np.testing.assert_array_equal(predictor.predict(POINT, LABEL)[0], ready.predict(POINT, LABEL)[0])


def test_a_generator_without_super_init(small) -> None:
    """sd-webui-segment-anything sets every attribute itself and hands a predictor in."""

    class Generator(mobile_sam.SamAutomaticMaskGenerator):
        def __init__(self, predictor: Any) -> None:
            self.predictor, self.points_per_batch, self.output_mode = predictor, 4, "binary_mask"
            self.pred_iou_thresh = self.stability_score_thresh = 0.0
            self.stability_score_offset, self.box_nms_thresh, self.crop_nms_thresh = 1.0, 0.7, 0.7
            self.crop_n_layers, self.crop_overlap_ratio, self.crop_n_points_downscale_factor = 0, 0.3, 1
            self.min_mask_region_area = 0
            self.point_grids = [np.array([[0.5, 0.5], [0.2, 0.2]])]

    assert Generator(mobile_sam.SamPredictor(small)).generate(np.full((40, 60, 3), 99, np.uint8))


def test_steps_may_be_overridden(small) -> None:
    """sd-webui's SamPredictorHQ and others override these; so they must be gone through."""
    seen = []

    class Transform(ResizeLongestSide):
        def apply_image(self, image: Any) -> Any:
            seen.append("apply_image")
            return super().apply_image(image)

    class Predictor(mobile_sam.SamPredictor):
        def set_torch_image(self, *args: Any) -> None:
            seen.append("set_torch_image")
            super().set_torch_image(*args)

        def predict_torch(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("predict_torch")
            return super().predict_torch(*args, **kwargs)

    class Generator(mobile_sam.SamAutomaticMaskGenerator):
        def _generate_masks(self, image: Any) -> Any:
            seen.append("_generate_masks")
            return super()._generate_masks(image)

        def _process_crop(self, *args: Any) -> Any:
            seen.append("_process_crop")
            return super()._process_crop(*args)

        def _process_batch(self, *args: Any) -> Any:
            seen.append("_process_batch")
            return super()._process_batch(*args)

        @staticmethod
        def postprocess_small_regions(*args: Any) -> Any:
            seen.append("postprocess_small_regions")
            return mobile_sam.SamAutomaticMaskGenerator.postprocess_small_regions(*args)

    predictor = Predictor(small)
    predictor.transform = Transform(64)
    predictor.set_image(np.zeros((40, 60, 3), np.uint8))
    predictor.predict(np.array([[3, 4]]), LABEL)
    assert seen == ["apply_image", "set_torch_image", "predict_torch"]
    seen.clear()
    generator = Generator(small, points_per_side=1, min_mask_region_area=5)
    generator.predictor = predictor
    generator.generate(np.zeros((40, 60, 3), np.uint8))
    assert seen == [
        "_generate_masks", "_process_crop", "apply_image", "set_torch_image", "_process_batch", "predict_torch",
        "postprocess_small_regions",
    ]  # fmt: skip


def test_the_submodules_may_be_called_one_by_one(sam, ready) -> None:
    """FiftyOne: float64 points, labels padded with -1, each submodule by itself."""
    assert sam.image_encoder.img_size == 1024
    assert (sam.mask_threshold, sam.image_format) == (0.0, "RGB")
    pixels = torch.as_tensor(sam_pixels(ready), dtype=torch.uint8)[None]
    features = sam.image_encoder(sam.preprocess(pixels))
    points = torch.tensor([[[512.0, 341.0], [0, 0]]], dtype=torch.float64), torch.tensor([[1, -1]])
    sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=None)
    low_res, iou = sam.mask_decoder(
        image_embeddings=features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    masks = sam.postprocess_masks(low_res, input_size=(683, 1024), original_size=(400, 600)) > sam.mask_threshold
    assert masks.shape == (1, 3, 400, 600)
    assert iou.argmax(dim=1).shape == (1,)


def sam_pixels(ready: Any) -> np.ndarray:
    image = np.array(Image.open(COFFEE).convert("RGB"))
    return ready.transform.apply_image(image).transpose(2, 0, 1)


def test_points_and_boxes_in_all_the_forms_seen(ready) -> None:
    expected = ready.predict(POINT, LABEL)[0]
    forms = [
        np.flip(np.array([[200, 300]]), axis=-1),  # napari-sam: a view with negative strides
        np.array([[torch.tensor(300), torch.tensor(200)]]),  # SA3D
        POINT.astype(np.float32),
        POINT.astype(np.int64),
    ]
    for points in forms:
        before = points.copy()
        np.testing.assert_array_equal(ready.predict(points, LABEL.astype(np.float32))[0], expected)
        np.testing.assert_array_equal(points, before, "the caller's points stay as they are")
    box = np.array([80, 20, 480, 390])
    by_box = ready.predict(box=box)[0]
    for form in (box[None], box.astype(np.float32), np.array([torch.tensor(v) for v in box])):  # ComfyUI, GSA
        np.testing.assert_array_equal(ready.predict(box=form)[0], by_box)
    low_res = ready.predict(POINT, LABEL, multimask_output=False)[2]
    again = ready.predict(POINT, LABEL, mask_input=low_res, multimask_output=False)  # napari-sam
    assert again[0].shape == (1, 400, 600)
    positional = ready.predict(POINT, LABEL, None, None, False, True)  # samgeo
    assert positional[0].dtype == np.float32
    assert ready.predict()[0].shape == (3, 400, 600)


def test_masks_are_plain_arrays(ready) -> None:
    masks, scores, low_res = ready.predict(POINT, LABEL)
    assert (masks.dtype, scores.dtype, low_res.dtype) == (bool, np.float32, np.float32)
    assert masks[np.argmax(scores)].astype(np.uint8).max() == 1  # Grounded-SAM, Inpaint-Anything
    assert (1 - masks[0].astype(np.float32)).min() == 0  # SA3D
    assert torch.tensor(masks[0]).dtype == torch.bool


def test_the_embedding_is_a_plain_tensor(ready, tmp_path) -> None:
    """CVAT sends its bytes to the browser, SA3D saves it."""
    features = ready.get_image_embedding()
    assert type(features) is torch.Tensor
    assert (features.dtype, features.shape) == (torch.float32, (1, 256, 64, 64))
    assert features.is_contiguous()
    assert not features.requires_grad
    assert not features.is_inference()
    assert len(features.numpy().tobytes()) == 4_194_304
    torch.save(features, tmp_path / "f.pt")
    assert torch.equal(torch.load(tmp_path / "f.pt", weights_only=True), features)


def test_the_device_is_where_the_model_is_now(small) -> None:
    """sd-webui moves the model to the GPU and back for each call."""
    predictor = mobile_sam.SamPredictor(small)
    assert predictor.device == torch.device("cpu")
    small.to("meta")
    assert predictor.device == small.device == torch.device("meta")


def test_a_pil_image_and_bgr(sam, ready, photo, monkeypatch) -> None:
    seen = []
    predictor = mobile_sam.SamPredictor(sam)
    monkeypatch.setattr(predictor, "set_torch_image", lambda pixels, hw: seen.append((pixels, hw)))
    predictor.set_image(photo)
    predictor.set_image(Image.open(COFFEE))
    predictor.set_image(photo[..., ::-1], "BGR")
    for pixels, hw in seen:
        assert torch.equal(pixels, seen[0][0])
        assert hw == (400, 600)


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 4), (40, 60, 1)])
def test_other_arrays_are_named_errors(small, shape) -> None:
    predictor = mobile_sam.SamPredictor(small)
    with pytest.raises(ImageError, match=r"\(H, W, 3\) of uint8"):
        predictor.set_image(np.zeros(shape, np.uint8))
    with pytest.raises(ImageError, match="float64"):
        predictor.set_image(np.zeros((40, 60, 3)))


def test_metas_errors(small) -> None:
    predictor = mobile_sam.SamPredictor(small)
    for call in (predictor.predict, lambda: predictor.predict_torch(None, None)):
        with pytest.raises(RuntimeError, match=r"An image must be set with .* before mask prediction"):
            call()
    with pytest.raises(RuntimeError, match="to generate an embedding"):
        predictor.get_image_embedding()
    with pytest.raises(AssertionError, match="image_format must be in"):
        predictor.set_image(np.zeros((4, 4, 3), np.uint8), "GBR")
    with pytest.raises(AssertionError, match="long side 64"):
        predictor.set_torch_image(torch.zeros(1, 3, 63, 40), (63, 40))
    predictor.set_image(np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(AssertionError, match="point_labels must be supplied"):
        predictor.predict(POINT)
    with pytest.raises(AssertionError, match="Exactly one of points_per_side"):
        mobile_sam.SamAutomaticMaskGenerator(small, points_per_side=4, point_grids=[POINT])
    with pytest.raises(AssertionError, match="Unknown output_mode"):
        mobile_sam.SamAutomaticMaskGenerator(small, output_mode="png")
    with pytest.raises(AssertionError, match="num_heads must divide"):
        importlib.import_module("mobilesam.compat.mobile_sam.modeling.transformer").Attention(32, 5)


def test_builders_return_evaluation_mode_and_predictors_warn_of_training(small) -> None:
    assert not mobile_sam.build_sam_vit_t().training
    small.train()
    with pytest.warns(UserWarning, match="training mode"):
        mobile_sam.SamPredictor(small)


def test_an_encoder_that_returns_a_pair(small) -> None:
    """Grounded-SAM's TinyViT returns (features, None)."""

    class Pair(nn.Module):
        img_size = 64

        def forward(self, x: Any) -> Any:
            return torch.ones(1, 32, 4, 4), None

    small.image_encoder = Pair()
    predictor = mobile_sam.SamPredictor(small)
    predictor.set_image(np.zeros((40, 60, 3), np.uint8))
    assert torch.equal(predictor.features, torch.ones(1, 32, 4, 4))


def test_encoders_take_batches(sam) -> None:
    """micro-sam."""
    photos = torch.rand(2, 3, 128, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together = sam.image_encoder(photos)
        torch.testing.assert_close(together[1:], sam.image_encoder(photos[1:]), atol=1e-4, rtol=1e-4)


def test_the_projections_may_be_replaced(small) -> None:
    """LoRA of SAMed and others wraps a Linear, in the decoder too: it must be called, not read."""

    class Adapter(nn.Module):
        def __init__(self, linear: nn.Module) -> None:
            super().__init__()
            self.linear, self.calls = linear, 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return self.linear(x)

    layer = small.mask_decoder.transformer.layers[0]
    wrapped = []
    for attention in (layer.self_attn, layer.cross_attn_token_to_image, layer.cross_attn_image_to_token):
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            wrapped.append(Adapter(getattr(attention, name)))
            setattr(attention, name, wrapped[-1])
    wrapped.append(Adapter(small.image_encoder.blocks[0].attn.qkv))
    small.image_encoder.blocks[0].attn.qkv = wrapped[-1]
    predictor = mobile_sam.SamPredictor(small)
    predictor.set_image(np.zeros((40, 60, 3), np.uint8))
    predictor.predict(POINT, LABEL)
    assert [adapter.calls for adapter in wrapped] == [1] * len(wrapped)


def test_torch_functions_that_label_studio_patches(small, monkeypatch) -> None:
    real = torch.as_tensor
    monkeypatch.setattr(
        torch, "as_tensor", lambda data, dtype=None, device=None: real(data, dtype=dtype, device=device)
    )
    predictor = mobile_sam.SamPredictor(small)
    predictor.set_image(np.zeros((40, 60, 3), np.uint8))
    assert predictor.predict(POINT.astype(np.float32), LABEL.astype(np.float32))[0].shape == (3, 40, 60)


# The checkpoint


@pytest.fixture(scope="module")
def state(sam) -> dict[str, torch.Tensor]:
    return sam.state_dict()


def test_the_439_keys_load_strictly_both_ways(sam, state) -> None:
    assert len(state) == 439
    assert "image_encoder.patch_embed.proj.weight" not in state, "micro-sam tells a TinyViT by its absence"
    theirs = reference.load("mobile_sam").sam_model_registry["vit_t"]()
    assert not any(theirs.load_state_dict(state, strict=True))
    assert not any(mobile_sam.build_sam_vit_t().load_state_dict(theirs.state_dict(), strict=True))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"model": s},  # Ultralytics
        lambda s: {"model_state": {f"sam.{k}": v for k, v in s.items()}},  # micro-sam
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_checkpoints_in_every_wrapping(state, tmp_path, wrap, kind) -> None:
    torch.save(wrap(state), tmp_path / "w.pt")
    loaded = mobile_sam.sam_model_registry["vit_t"](kind(tmp_path / "w.pt"))  # positionally: napari-sam
    for key, value in loaded.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0)
    assert all(p.requires_grad for p in loaded.parameters())


def test_a_checkpoint_of_another_architecture_is_built_as_what_it_is(state, tmp_path) -> None:
    """ComfyUI's Impact Pack chooses the builder by the file's name, and takes mobile_sam.pt for a ViT-B."""
    torch.save(state, tmp_path / "mobile_sam.pt")
    with pytest.warns(UserWarning, match="is a mobile_sam, not a sam_vit_b"):
        loaded = segment_anything.sam_model_registry["vit_b"](checkpoint=tmp_path / "mobile_sam.pt")
    assert isinstance(loaded.image_encoder, TinyViT)


def test_files_that_are_none(tmp_path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        mobile_sam.build_sam_vit_t(tmp_path / "no.pt")
    assert isinstance(caught.value, WeightsNotFoundError)
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        mobile_sam.build_sam_vit_t(tmp_path / "bad.pt")


def test_weights_loaded_after_eval_count(sam, small, state) -> None:
    """Upstream caches the attention bias in .eval()."""
    fresh = mobile_sam.build_sam_vit_t()
    fresh.load_state_dict(state)
    photo = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(fresh.image_encoder(photo), sam.image_encoder(photo))


# The names


def test_vit_t_is_found_in_metas_registry_but_not_listed() -> None:
    """napari-sam goes through the keys and indexes a table of three files with them."""
    registry = segment_anything.sam_model_registry
    assert list(registry) == ["default", "vit_h", "vit_l", "vit_b"]
    assert registry["vit_t"] is mobile_sam.build_sam_vit_t
    with pytest.raises(KeyError, match="vit_x"):
        _ = registry["vit_x"]
    assert list(mobile_sam.sam_model_registry) == ["default", "vit_h", "vit_l", "vit_b", "vit_t"]
    assert mobile_sam.build_sam is mobile_sam.build_sam_vit_h
    assert isinstance(segment_anything.modeling.ImageEncoderViT(img_size=32), ImageEncoderViT)


def test_both_packages_share_their_modules() -> None:
    for name in compat.MODULES:
        meta = importlib.import_module(f"mobilesam.compat.segment_anything.{name}")
        mobile = importlib.import_module(f"mobilesam.compat.mobile_sam.{name}")
        assert (meta is mobile) == (name != "build_sam")


CLIENT = """
from mobilesam import compat
compat.install({name!r})
from {name} import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry
from {name}.build_sam import sam_model_registry as again
from {name}.predictor import SamPredictor as same
from {name}.automatic_mask_generator import SamAutomaticMaskGenerator as generator
from {name}.utils.transforms import ResizeLongestSide
from {name}.utils.amg import MaskData, calculate_stability_score, rle_to_mask
from {name}.utils.onnx import SamOnnxModel
from {name}.modeling import Sam, MaskDecoder, PromptEncoder, TwoWayTransformer
from {name}.modeling.sam import Sam as same_sam
from {name}.modeling.image_encoder import ImageEncoderViT
from {name}.modeling.tiny_vit_sam import TinyViT
import {name}.modeling.common, {name}
assert same is SamPredictor and generator is SamAutomaticMaskGenerator and again is sam_model_registry
assert SamPredictor.__module__ == "mobilesam.compat.segment_anything.predictor"
assert {name}.utils.transforms.ResizeLongestSide is ResizeLongestSide
print("done")
"""


@pytest.mark.parametrize("name", compat.PACKAGES)
def test_unchanged_files_find_ours_after_install(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", CLIENT.format(name=name)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_install_can_be_taken_back(monkeypatch) -> None:
    real = reference.load("mobile_sam")
    monkeypatch.setitem(sys.modules, "mobile_sam", real)
    before = {key: module for key, module in sys.modules.items() if key.split(".")[0] == "mobile_sam"}
    for _ in range(2):  # twice is once
        compat.install("mobile_sam")
    assert importlib.import_module("mobile_sam") is mobile_sam
    assert importlib.import_module("mobile_sam.utils.amg") is importlib.import_module(
        "mobilesam.compat.mobile_sam.utils.amg"
    )
    compat.uninstall("mobile_sam")
    compat.uninstall("mobile_sam")
    assert {key: module for key, module in sys.modules.items() if key.split(".")[0] == "mobile_sam"} == before
    assert importlib.import_module("mobile_sam") is real
    with pytest.raises(InputError, match="segment_anything, mobile_sam"):
        compat.install("ultralytics")


def test_importing_compat_alone_brings_no_torch() -> None:
    code = "import sys, mobilesam.compat; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
