from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import COFFEE
from mobilesam import SAM, BackendError, InputError, MissingDependencyError, PromptError, backends
from mobilesam.image import to_rgb
from mobilesam.testing import FakeBackend
from videos import write_video

FAKE = SAM.from_backend(FakeBackend())
BLANK = np.zeros((400, 600, 3), np.uint8)


def test_every_kind_of_source_gives_the_same_mask(default_sam: SAM) -> None:
    array = to_rgb(COFFEE)
    sources = [
        COFFEE,
        str(COFFEE),
        COFFEE.read_bytes(),
        io.BytesIO(COFFEE.read_bytes()),
        Image.fromarray(array),
        array,
        default_sam.embed(COFFEE),
    ]
    results = [default_sam.predict(source, points=[300, 200])[0] for source in sources]
    for result in results[1:]:
        np.testing.assert_array_equal(result.low_res, results[0].low_res)


def test_many_sources_give_one_result_each(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        Image.fromarray(BLANK).save(tmp_path / name)
    embedding = FAKE.embed(BLANK)
    for source, names in (
        (tmp_path, ["a.png", "b.png"]),
        (str(tmp_path / "*.png"), ["a.png", "b.png"]),
        ([tmp_path / "b.png", BLANK], ["b.png", "image1"]),
        ([embedding, tmp_path], ["image0", "a.png", "b.png"]),
    ):
        assert [r.name for r in FAKE.predict(source, points=[300, 200])] == names
    assert [e.name for e in FAKE.embed(tmp_path)] == ["a.png", "b.png"]
    assert FAKE.embed(tmp_path / "a.png").path == tmp_path / "a.png"


def test_multimask_chooses_among_the_four() -> None:
    single, three, best = (
        FAKE.predict(BLANK, points=[[300, 200], [9, 9]], multimask=m)[0] for m in (False, True, "best")
    )
    np.testing.assert_allclose(single.iou, [0.75, 0.75])
    np.testing.assert_allclose(three.iou, [0.7, 0.9, 0.8] * 2)
    np.testing.assert_allclose(best.iou, [0.9, 0.9])
    assert three.prompt_index.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(three[1].low_res, best[0].low_res)
    np.testing.assert_array_equal(three.best().low_res, best.low_res)
    assert single.areas[0] == pytest.approx(np.pi * (128 * 600 / 1024) ** 2, rel=0.02)


def test_best_is_of_the_three_for_a_lone_click_alone() -> None:
    clicks = [[[300, 200]], [[300, 200], [9, 9]], [[20, 30]]]
    assert FAKE.predict(BLANK, points=clicks, multimask="best")[0].iou == pytest.approx([0.9, 0.75, 0.9])
    box = [100, 100, 200, 200]
    assert FAKE.predict(BLANK, bboxes=box, multimask="best")[0].iou == pytest.approx([0.75])
    assert FAKE.predict(BLANK, points=[150, 150], bboxes=box, multimask="best")[0].iou == pytest.approx([0.75])


class Unstable(FakeBackend):
    """The mask with the highest predicted IoU is sure of nothing."""

    def decode(self, *given) -> tuple[np.ndarray, np.ndarray]:
        logits_bmhw, iou_bm = super().decode(*given)
        logits_bmhw[:, 2] /= 100
        return logits_bmhw, iou_bm


def test_best_weighs_stability() -> None:
    assert SAM.from_backend(Unstable()).predict(BLANK, points=[300, 200], multimask="best")[0].iou == pytest.approx(
        [0.8]
    )


@pytest.mark.parametrize("multimask", ["worst", 2, None])
def test_other_multimask_values(multimask) -> None:
    with pytest.raises(InputError, match="multimask must be"):
        FAKE.predict(BLANK, points=[1, 1], multimask=multimask)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 600), st.integers(0, 400)), min_size=1, max_size=3),
        min_size=1,
        max_size=20,
    )
)
def test_a_batch_is_its_prompts_one_by_one_in_order(objects) -> None:
    embedding = FAKE.embed(BLANK)
    together = FAKE.predict(embedding, points=objects)[0]
    for i, points in enumerate(objects):
        np.testing.assert_array_equal(together.low_res[i], FAKE.predict(embedding, points=[points])[0].low_res[0])


def test_masks_and_plain_prompts_of_one_length() -> None:
    mask = np.full((256, 256), 5, np.float32)
    result = FAKE.predict(BLANK, masks=[mask, -mask])[0]
    np.testing.assert_array_equal(result.low_res, [mask, -mask])


def test_a_mistaken_prompt_costs_no_encoding() -> None:
    class Counting(FakeBackend):
        encoded = 0

        def encode(self, image_bchw):
            self.encoded += 1
            return super().encode(image_bchw)

    backend = Counting()
    with pytest.raises(PromptError):
        SAM.from_backend(backend).predict(BLANK, points=[601, 1])
    assert backend.encoded == 0


def test_a_box_in_the_fake_backend_is_the_box() -> None:
    result = FAKE.predict(BLANK, bboxes=[[100, 50, 400, 350]], points=[[200, 200]])[0]
    np.testing.assert_allclose(result.boxes[0], [100, 50, 400, 350], atol=2.5)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(InputError, match="Unknown runtime 'tvm'; choose one of: auto, openvino, onnx, pytorch"):
        SAM(runtime="tvm")
    with pytest.raises(InputError, match="Unknown precision 'fp8'"):
        SAM(precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="threads must be"):
        SAM(threads=0)
    with pytest.raises(InputError, match="has no device 'cuda'; it has: cpu, gpu, npu"):
        SAM(runtime="openvino", device="cuda")


@pytest.mark.parametrize(
    ("runtime", "device"), [("pytorch", "cuda"), ("pytorch", "mps"), ("onnx", "cuda"), ("openvino", "npu")]
)
def test_a_device_that_is_not_here(runtime: str, device: str) -> None:
    if device in [d.split(":")[0] for d in backends.RUNTIMES[runtime].present_devices()]:
        assert SAM(runtime=runtime, device=device).info.device.startswith(device)
    else:
        with pytest.raises(BackendError, match="no .*device|no CUDAExecutionProvider"):
            SAM(runtime=runtime, device=device)


def test_a_missing_runtime_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for runtime, line in (
        ("onnx", r"pip install 'mobilesam\[onnx\]'"),
        ("pytorch", r"pip install 'mobilesam\[torch\]'"),
    ):
        monkeypatch.setitem(sys.modules, backends.RUNTIMES[runtime].package, None)
        with pytest.raises(MissingDependencyError, match=line):
            backends.choose(runtime)


def test_automatic_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    present = {"openvino", "onnxruntime", "torch"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in present or None)
    monkeypatch.setattr(backends, "_sees_cuda", lambda: False)
    monkeypatch.setattr(backends, "require", lambda *a: None)
    assert backends.choose().name == "openvino"
    assert backends.choose(device="cuda").name == "pytorch"
    assert backends.choose(device="gpu").name == "openvino"
    monkeypatch.setenv("MOBILESAM_RUNTIME", "onnx")
    assert backends.choose().name == "onnx"
    monkeypatch.delenv("MOBILESAM_RUNTIME")
    present.remove("openvino")
    assert backends.choose().name == "onnx"
    with pytest.raises(InputError, match="No installed runtime has the device 'gpu'"):
        backends.choose(device="gpu")
    monkeypatch.setattr(backends, "_sees_cuda", lambda: True)
    assert backends.choose().name == "pytorch"
    present.clear()
    with pytest.raises(MissingDependencyError, match="No runtime is installed"):
        backends.choose()


def test_a_compiled_model_is_cached_and_a_broken_one_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path))
    first = SAM(runtime="openvino").predict(COFFEE, points=[300, 200])[0]
    blobs = sorted((tmp_path / "compiled").iterdir())
    assert [b.name.split("-")[0] for b in blobs] == ["decoder_1x2", "encoder_45", "prompts"]
    stamps = [b.stat().st_mtime_ns for b in blobs]
    again = SAM(runtime="openvino").predict(COFFEE, points=[300, 200])[0]
    np.testing.assert_array_equal(first.low_res, again.low_res)
    assert [b.stat().st_mtime_ns for b in blobs] == stamps
    for blob in blobs:
        blob.write_bytes(b"broken")
    healed = SAM(runtime="openvino").predict(COFFEE, points=[300, 200])[0]
    np.testing.assert_array_equal(first.low_res, healed.low_res)
    assert all(b.stat().st_size > 10_000 for b in blobs)


def test_a_cache_that_cant_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path / "file"))
    assert SAM(runtime="openvino").predict(COFFEE, points=[300, 200])[0].masks.any()


def test_a_stream_holds_one_photo_at_a_time(fake_sam: SAM, tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.avi", 3)
    stream = fake_sam.predict(video, points=[20, 20], stream=True)
    first = next(stream)
    assert (first.name, first.path, first.masks[0, 20, 20]) == ("walk_000001.jpg", video, True)
    assert first.image is not None
    np.testing.assert_allclose(first.image[20, 20], (200, 0, 0), atol=4)
    assert [r.name for r in stream] == ["walk_000002.jpg", "walk_000003.jpg"]
    assert [r.name for r in fake_sam.predict(video, points=[20, 20])] == [f"walk_{i:06d}.jpg" for i in (1, 2, 3)]


def test_a_stream_stops_at_what_is_wrong(fake_sam: SAM, tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    stream = fake_sam.predict([tmp_path / "a.png", tmp_path / "no.png"], points=[2, 2], stream=True)
    assert next(stream).name == "a.png"
    with pytest.raises(FileNotFoundError, match=r"no\.png"):
        next(stream)


def test_a_camera_needs_a_stream(fake_sam: SAM) -> None:
    for call in (fake_sam.embed, fake_sam.everything, lambda s: fake_sam.predict(s, points=[1, 1])):
        with pytest.raises(InputError, match="stream=True"):
            call(0)


def test_masks_while_it_works_are_those_of_one_photo(fake_sam: SAM) -> None:
    with pytest.raises(InputError, match="one photo"):
        next(fake_sam.iter_everything([BLANK, BLANK]))
