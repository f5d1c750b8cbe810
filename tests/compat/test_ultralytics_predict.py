"""The calls of Ultralytics' users, on a model that gives discs of radius 128 around points, and boxes as they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import mobilesam
from mobilesam import ImageError, InputError, PromptError, SourceNotFoundError
from mobilesam.compat.ultralytics import SAM, Predictor, Results, SAMPredictor
from mobilesam.compat.ultralytics.arguments import IGNORED
from mobilesam.testing import FakeBackend
from videos import FakeCapture, write_video

BLACK = np.zeros((512, 1024, 3), np.uint8)
"""At this size the model's pixels are the photo's."""
A, B = [300, 200], [700, 300]
BOX_A, BOX_B = [150, 80, 480, 380], [500, 100, 900, 400]


@pytest.fixture
def sam() -> SAM:
    return SAM(mobilesam.SAM.from_backend(FakeBackend()))


def disc(x: float, y: float, radius: float = 128) -> list[float]:
    return [x - radius, y - radius, x + radius - 1, y + radius - 1]


def test_what_each_nesting_means(sam: SAM, nesting: tuple[dict[str, Any], list[list[float]]]) -> None:
    prompts, boxes = nesting
    (result,) = sam.predict(BLACK, **prompts)
    np.testing.assert_allclose(result.boxes.xyxy, boxes, atol=2)
    assert result.boxes.cls.tolist() == list(range(len(boxes)))
    assert result.names == {i: str(i) for i in range(len(boxes))}
    assert result.masks.data.shape == (len(boxes), 512, 1024)
    np.testing.assert_allclose(result.boxes.conf, 0.75)
    again = sam(BLACK, **prompts)[0]
    assert torch.equal(again.masks.data, result.masks.data)


NESTINGS: dict[str, tuple[dict[str, Any], list[list[float]]]] = {
    "a point": ({"points": A, "labels": [1]}, [disc(*A)]),
    "a point without labels": ({"points": A}, [disc(*A)]),
    "a point and a bare label": ({"points": A, "labels": 1}, [disc(*A)]),
    "two points, two objects": ({"points": [A, B], "labels": [1, 1]}, [disc(*A), disc(*B)]),
    "two points, one object": ({"points": [[A, B]], "labels": [[1, 1]]}, [[172, 72, 827, 427]]),
    "one object, a negative point": ({"points": [[A, B]], "labels": [[1, 0]]}, [disc(*A)]),
    "two objects of two points": ({"points": [[A, B], [B, A]], "labels": [[1, 0], [1, 0]]}, [disc(*A), disc(*B)]),
    "an array": ({"points": np.array([A, B]), "labels": np.array([1, 1])}, [disc(*A), disc(*B)]),
    "a tensor": ({"points": torch.tensor([[A], [B]]), "labels": torch.ones(2, 1)}, [disc(*A), disc(*B)]),
    "a list of tensors": ({"points": [torch.tensor(A), torch.tensor(B)]}, [disc(*A), disc(*B)]),
    "a box": ({"bboxes": BOX_A}, [[150, 80, 479, 379]]),
    "two boxes": ({"bboxes": [BOX_A, BOX_B]}, [[150, 80, 479, 379], [500, 100, 899, 399]]),
    "boxes in a tensor": ({"bboxes": torch.tensor([BOX_A, BOX_B])}, [[150, 80, 479, 379], [500, 100, 899, 399]]),
    "points and boxes, in pairs": (
        {"points": [A, B], "bboxes": [BOX_A, BOX_B]},
        [[150, 80, 479, 379], [500, 100, 899, 399]],
    ),
}


@pytest.fixture(params=list(NESTINGS))
def nesting(request: pytest.FixtureRequest) -> tuple[dict[str, Any], list[list[float]]]:
    return NESTINGS[request.param]


def test_masks_as_prompts(sam: SAM) -> None:
    mask = np.zeros((512, 1024), bool)
    mask[80:380, 150:480] = True
    for given in (mask, mask[None], torch.from_numpy(mask), sam(BLACK, bboxes=BOX_A)[0].masks.data):
        (result,) = sam(BLACK, masks=given)
        np.testing.assert_allclose(result.boxes.xyxy, [[150, 80, 479, 379]], atol=4)
    two = sam(BLACK, masks=np.stack([mask, mask[:, ::-1]]))[0]
    np.testing.assert_allclose(two.boxes.xyxy, [[150, 80, 479, 379], [544, 80, 873, 379]], atol=4)
    with pytest.raises(PromptError, match="equally many"):
        sam(BLACK, masks=np.stack([mask, mask]), points=A)


def test_three_masks_a_prompt_all_tell_their_prompt(sam: SAM) -> None:
    """Ultralytics numbers the masks, so that cls no longer tells the prompt."""
    (result,) = sam(BLACK, points=[A, B], multimask_output=True)
    assert result.boxes.cls.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(result.boxes.conf, [0.7, 0.9, 0.8] * 2)
    np.testing.assert_allclose(result.boxes.xyxy[0], disc(*A, radius=64), atol=2)
    np.testing.assert_allclose(result.boxes.xyxy[4], disc(*B), atol=2)
    assert result.names == {0: "0", 1: "1"}


def test_no_mask_is_dropped_unless_asked(sam: SAM) -> None:
    """Ultralytics silently drops masks whose score is 0.25 or less."""
    backend, unsure = FakeBackend(), FakeBackend()
    unsure.decode = lambda *a: (backend.decode(*a)[0], np.array([[0.1] * 4, [0.9] * 4], np.float32))  # type: ignore[method-assign]
    sam = SAM(mobilesam.SAM.from_backend(unsure))
    (both,) = sam(BLACK, points=[A, B])
    np.testing.assert_allclose(both.boxes.conf, [0.1, 0.9])
    (sure,) = sam(BLACK, points=[A, B], conf=0.25)
    assert (len(sure), sure.boxes.cls.tolist()) == (1, [1])
    np.testing.assert_allclose(sure.boxes.xyxy, [disc(*B)], atol=2)
    assert sure.names[int(sure.boxes.cls[0])] == "1"
    (none,) = sam(BLACK, points=[A, B], conf=0.95)
    assert none.masks is None
    assert none.boxes.data.shape == (0, 6)
    assert len(none) == 0


def test_a_detector_that_found_nothing(sam: SAM) -> None:
    for bboxes in (np.zeros((0, 4)), torch.zeros(0, 4), []):
        (result,) = sam(BLACK, bboxes=bboxes)
        assert (result.masks, result.boxes.data.shape, result.names) == (None, (0, 6), {})


def test_prompts_that_make_no_sense(sam: SAM) -> None:
    for prompts in (
        {"points": [2000, 1]},
        {"bboxes": [5, 5, 1, 1]},
        {"labels": [1]},
        {"points": [A, B], "bboxes": BOX_A},
    ):
        with pytest.raises(PromptError):
            sam(BLACK, **prompts)


def test_choosing_classes_and_the_best(sam: SAM) -> None:
    prompts = {"points": [A, B], "multimask_output": True}
    assert sam(BLACK, classes=[1], **prompts)[0].boxes.cls.tolist() == [1, 1, 1]
    assert sam(BLACK, classes=0, max_det=2, **prompts)[0].boxes.conf.tolist() == pytest.approx([0.9, 0.8])


def test_boxes_are_those_of_the_masks(default_sam: mobilesam.SAM, coffee: str) -> None:
    (result,) = SAM(default_sam)(coffee, bboxes=BOX_A)
    ys, xs = np.nonzero(result.masks.data[0].numpy())
    assert result.boxes.xyxy[0].tolist() == [xs.min(), ys.min(), xs.max(), ys.max()]
    assert result.boxes.xyxy[0].tolist() != BOX_A
    native = default_sam.predict(coffee, bboxes=BOX_A)[0]
    np.testing.assert_array_equal(result.masks.data, native.masks)
    np.testing.assert_array_equal(result.boxes.xyxy.numpy() + np.array([0, 0, 1, 1]), native.boxes)
    np.testing.assert_array_equal(result.boxes.conf, native.iou)


@pytest.fixture
def coffee() -> str:
    return str(Path(__file__).parents[2] / "examples/coffee.png")


COLOUR = np.zeros((6, 8, 3), np.uint8)
COLOUR[:] = (200, 100, 50)
"""RGB."""


def test_every_source_has_its_colours_right(sam: SAM, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    sources: dict[str, Any] = {
        "path": path,
        "text": str(path),
        "folder": tmp_path,
        "glob": str(tmp_path / "*.png"),
        "list": [str(path)],
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
        "PIL": Image.open(path),
        "OpenCV": cv2.imread(str(path)),
        "BGRA": np.dstack([COLOUR[..., ::-1], np.full((6, 8), 255, np.uint8)]),
        "uint8 tensor": torch.from_numpy(COLOUR).permute(2, 0, 1),
        "0..1 tensor": torch.from_numpy(COLOUR).permute(2, 0, 1)[None] / 255,
    }
    for name, source in sources.items():
        (result,) = sam(source, points=[4, 3])
        assert (result.orig_img == COLOUR[..., ::-1]).all(), name
        assert result.orig_img.dtype == np.uint8
    grey = sam(np.full((6, 8), 7, np.uint8), points=[4, 3])[0]
    assert (grey.orig_img == 7).all()
    stack = sam(np.stack([COLOUR[..., ::-1]] * 2), points=[4, 3])
    assert [r.path for r in stack] == ["image0.jpg", "image1.jpg"]


def test_the_model_sees_rgb(default_sam: mobilesam.SAM, coffee: str) -> None:
    sam = SAM(default_sam)
    from_path, from_array = sam(coffee, points=A)[0], sam(cv2.imread(coffee), points=A)[0]
    assert torch.equal(from_path.masks.data, from_array.masks.data)
    np.testing.assert_array_equal(from_path.orig_img, cv2.imread(coffee))


def test_lists_and_paths(sam: SAM, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    results = sam([BLACK, tmp_path / "a.png", Image.fromarray(COLOUR)], points=[4, 3])
    assert [r.path for r in results] == ["image0.jpg", str(tmp_path / "a.png"), "image2.jpg"]
    assert [r.orig_shape for r in results] == [(512, 1024), (6, 8), (6, 8)]


def test_videos_and_strides(sam: SAM, tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.avi", 4)
    stream = sam(video, points=[20, 20], stream=True, vid_stride=2)
    assert not isinstance(stream, list)
    first, third = stream
    assert (first.path, third.path) == (str(video), str(video))
    np.testing.assert_allclose(third.orig_img[20, 20], (80, 0, 120), atol=4)  # BGR
    assert len(sam(str(video), points=[20, 20])) == 4


def test_cameras(sam: SAM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.VideoCapture", lambda _: FakeCapture(2))
    for source in (0, "0"):
        assert [r.path for r in sam(source, points=[2, 2], stream=True)] == ["camera0_000001.jpg", "camera0_000002.jpg"]
        with pytest.raises(InputError, match="stream=True"):
            sam(source, points=[2, 2])


def test_addresses_only_when_allowed(sam: SAM, monkeypatch: pytest.MonkeyPatch) -> None:
    png = io.BytesIO()
    Image.fromarray(COLOUR).save(png, "PNG")
    monkeypatch.setattr("mobilesam.catalog.download.read_url", lambda *_: png.getvalue())
    with pytest.raises(InputError, match="allow_urls=True"):
        sam("https://example.org/bus.jpg", points=[4, 3])
    (result,) = sam("https://example.org/bus.jpg", points=[4, 3], allow_urls=True)
    assert result.path == "bus.jpg"
    assert (result.orig_img == COLOUR[..., ::-1]).all()


def test_sources_that_are_none(sam: SAM) -> None:
    with pytest.raises(InputError, match="needs a source"):
        sam.predict()
    with pytest.raises(SourceNotFoundError):
        sam("no.jpg", points=A)
    with pytest.raises(ImageError, match="within 0..1"):
        sam(torch.full((3, 8, 8), 255.0), points=[1, 1])
    with pytest.raises(ImageError, match="transpose"):
        sam(np.zeros((3, 32, 32), np.uint8), points=[1, 1])


def test_everything_mode(default_sam: mobilesam.SAM, coffee: str) -> None:
    sam = SAM(default_sam)
    (result,) = sam(coffee, points_stride=8, conf_thres=0.8)
    scene = default_sam.everything(
        coffee, points_per_side=8, pred_iou_thresh=0.8, stability_score_offset=0.95, output_mode="binary_mask"
    )
    assert len(result) == len(scene) > 3
    np.testing.assert_array_equal(result.masks.data, scene.masks)
    assert result.boxes.cls.tolist() == list(range(len(scene)))
    np.testing.assert_allclose(result.boxes.conf, [record["predicted_iou"] for record in scene])
    wanted = [[x, y, x + w, y + h] for x, y, w, h in (record["bbox"] for record in scene)]
    np.testing.assert_allclose(result.boxes.xyxy, wanted)
    best = sam(coffee, points_stride=8, conf_thres=0.8, max_det=2)[0]
    assert len(best) == 2
    assert best.boxes.conf.min() >= result.boxes.conf.sort(descending=True).values[1]


def test_everything_mode_takes_ultralytics_names(sam: SAM, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    native = mobilesam.SAM.from_backend(FakeBackend())
    real = native.everything
    monkeypatch.setattr(native, "everything", lambda *a, **k: asked.update(k) or real(*a, **k))
    grid = [np.array([[0.5, 0.5]])]
    given = {
        "crop_n_layers": 0, "crop_overlap_ratio": 0.2, "crop_downscale_factor": 2, "point_grids": grid,
        "points_batch_size": 8, "conf_thres": 0.5, "stability_score_thresh": 0.1, "stability_score_offset": 0.2,
        "crop_nms_thresh": 0.6, "iou": 0.4, "min_mask_region_area": 3,
    }  # fmt: skip
    (result,) = SAM(native)(BLACK, **given)
    assert len(result) >= 1
    assert asked == {
        "points_per_side": None, "point_grids": grid, "points_per_batch": 8, "pred_iou_thresh": 0.5,
        "stability_score_thresh": 0.1, "stability_score_offset": 0.2, "box_nms_thresh": 0.4, "crop_n_layers": 0,
        "crop_nms_thresh": 0.6, "crop_overlap_ratio": 0.2, "crop_n_points_downscale_factor": 2,
        "min_mask_region_area": 3,
    }  # fmt: skip


def test_arguments_that_are_unknown_or_impossible(sam: SAM) -> None:
    with pytest.raises(InputError, match=r"no argument 'confidence'; there are: .*\bconf\b.*\bretina_masks\b"):
        sam(BLACK, points=A, confidence=0.5)
    with pytest.raises(InputError, match="imgsz is 1024"):
        sam(BLACK, points=A, imgsz=640)
    for size in (1024, [1024], (1024, 1024)):
        assert len(sam(BLACK, points=A, imgsz=size)[0]) == 1
    with pytest.raises(InputError, match="one device"):
        sam(BLACK, points=A, device=[0, 1])
    with pytest.raises(InputError, match="on 'cpu'"):
        sam(BLACK, points=A, device="mps")


@pytest.mark.parametrize("name", [*IGNORED, "device", "show_boxes"])
def test_arguments_without_effect(sam: SAM, name: str) -> None:
    (plain,), (result,) = sam(BLACK, points=A), sam(BLACK, points=A, **{name: "cpu" if name == "device" else False})
    assert torch.equal(plain.masks.data, result.masks.data)
    assert torch.equal(plain.boxes.data, result.boxes.data)


def test_speed_is_measured(sam: SAM) -> None:
    speed = sam(BLACK, points=A)[0].speed
    assert list(speed) == ["preprocess", "inference", "postprocess"]
    assert all(0 < milliseconds < 60_000 for milliseconds in speed.values())


def test_a_set_image_answers_many_prompts(coffee: str, default_sam: mobilesam.SAM) -> None:
    predictor = SAMPredictor(overrides={"model": default_sam, "task": "segment", "mode": "predict", "imgsz": 1024})
    encoded = []
    real = default_sam.predictor.embed
    default_sam.predictor.embed = lambda *a, **k: encoded.append(1) or real(*a, **k)  # type: ignore[method-assign]
    try:
        predictor.set_image(cv2.imread(coffee))
        by_point = predictor(points=A, labels=[1])[0]
        by_box = predictor(bboxes=BOX_A)[0]
    finally:
        default_sam.predictor.embed = real  # type: ignore[method-assign]
    assert len(encoded) == 1
    for result, prompts in ((by_point, {"points": A}), (by_box, {"bboxes": BOX_A})):
        np.testing.assert_array_equal(result.masks.data, default_sam.predict(coffee, **prompts)[0].masks)
    assert predictor.features.shape == (1, 256, 64, 64)
    np.testing.assert_array_equal(predictor.im, cv2.imread(coffee))
    assert predictor.results == [by_box]
    assert predictor.batch is not None
    assert predictor.batch[0] == ["image0.jpg"]


def test_set_prompts_serve_one_call() -> None:
    predictor = fake_predictor()
    predictor.set_image(BLACK)
    predictor.set_prompts({"points": [A, B]})
    assert len(predictor()[0]) == 2
    assert predictor.prompts == {}
    predictor.set_prompts({"points": [A, B]})
    assert len(predictor(points=A)[0]) == 1


def test_a_source_is_embedded_even_where_an_image_is_set() -> None:
    """Ultralytics answers from the set image's features."""
    predictor = fake_predictor()
    predictor.set_image(BLACK)
    (result,) = predictor(source=np.zeros((64, 64, 3), np.uint8), points=[32, 32])
    assert result.orig_shape == (64, 64)
    assert predictor.dataset is not None
    assert predictor(points=A)[0].orig_shape == (512, 1024)
    assert predictor.dataset is None


def test_reset_image_forgets() -> None:
    predictor = fake_predictor()
    with pytest.raises(InputError, match="set_image"):
        predictor(points=A)
    predictor.set_image(BLACK)
    predictor.reset_image()
    assert predictor.im is predictor.features is None
    with pytest.raises(InputError, match="set_image"):
        predictor(points=A)


def test_set_image_takes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one picture"):
        fake_predictor().set_image([BLACK, BLACK])


def test_generate_is_everything_mode(coffee: str, default_sam: mobilesam.SAM) -> None:
    predictor = Predictor(overrides={"model": default_sam})
    masks, scores, boxes = predictor.generate(coffee, points_stride=4)
    (result,) = predictor(source=coffee, points_stride=4)
    np.testing.assert_array_equal(masks, result.masks.data)
    np.testing.assert_array_equal(scores, result.boxes.conf)
    np.testing.assert_array_equal(boxes, result.boxes.xyxy)
    nothing = fake_predictor().generate(BLACK, conf_thres=0.99)
    assert [tuple(part.shape) for part in nothing] == [(0, 512, 1024), (0,), (0, 4)]


def test_features_alone_are_enough(coffee: str, default_sam: mobilesam.SAM) -> None:
    maker = Predictor(overrides={"model": default_sam})
    maker.set_image(coffee)
    other = Predictor(overrides={"model": default_sam, "conf": 0.999})
    masks, boxes = other.inference_features(maker.features, src_shape=(400, 600), points=[A, [450, 120]])
    native = default_sam.predict(coffee, points=[A, [450, 120]])[0]
    np.testing.assert_array_equal(masks, native.masks)
    np.testing.assert_array_equal(boxes[:, :4] + torch.tensor([0, 0, 1, 1]), native.boxes)
    np.testing.assert_array_equal(boxes[:, 4], native.iou)
    assert boxes[:, 5].tolist() == [0, 1]
    assert (
        len(other.inference_features(maker.features, (400, 600), (1024, 1024), bboxes=BOX_A, multimask_output=True)[0])
        == 3
    )
    none, boxes = other.inference_features(maker.features, (400, 600), bboxes=[])
    assert none is None
    assert boxes.shape == (0, 6)
    with pytest.raises(InputError, match=r"dst_shape is \(1024, 1024\)"):
        other.inference_features(maker.features, (400, 600), (512, 512), bboxes=BOX_A)


def test_features_may_be_replaced(coffee: str, default_sam: mobilesam.SAM) -> None:
    predictor = Predictor(overrides={"model": default_sam})
    predictor.set_image(coffee)
    kept, before = predictor.features, predictor(points=A)[0]
    predictor.features = torch.zeros_like(kept)
    assert not torch.equal(predictor(points=A)[0].masks.data, before.masks.data)
    predictor.features = kept.clone()
    assert torch.equal(predictor(points=A)[0].masks.data, before.masks.data)


def test_overrides_serve_every_call(sam: SAM) -> None:
    predictor = Predictor({"max_det": 1}, {"model": mobilesam.SAM.from_backend(FakeBackend()), "conf": 0.5})
    assert (predictor.args.imgsz, predictor.args.conf) == (1024, 0.5)
    assert len(predictor(BLACK, points=[A, B])[0]) == 1
    assert len(predictor(BLACK, points=[A, B], max_det=5)[0]) == 2
    predictor.args.conf = 0.99
    assert len(predictor(BLACK, points=A)[0]) == 0
    with pytest.raises(InputError, match="no argument 'modle'"):
        Predictor(overrides={"modle": "mobile_sam.pt"})
    sam.overrides["conf"] = 0.99
    assert len(sam(BLACK, points=A)[0]) == 0


def test_the_set_image_streams_too() -> None:
    predictor = fake_predictor()
    predictor.set_image(BLACK)
    (result,) = predictor(points=A, stream=True)
    assert isinstance(result, Results)


def fake_predictor() -> Predictor:
    return Predictor(overrides={"model": mobilesam.SAM.from_backend(FakeBackend())})
