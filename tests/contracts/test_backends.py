"""What every runtime must do, over the registry: a new runtime is tested by being registered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from conftest import COFFEE, load_sam
from mobilesam import SAM, InputError, backends
from mobilesam.backends.base import Backend

POINTS = [[300, 200], [150, 120], [450, 120], [180, 300], [480, 320]]


def test_info_says_what_was_asked_for(sam: SAM) -> None:
    assert sam.info.runtime in backends.RUNTIMES
    assert sam.info.precision == "fp32"
    assert sam.info.img_size == 1024
    assert sam.info.model_id.startswith("mobile_sam-")


def test_shapes_and_types(sam: SAM) -> None:
    backend: Backend = sam.predictor.backend
    features = backend.encode(np.zeros((1, 3, 1024, 1024), np.float32))
    assert (features.shape, features.dtype) == ((1, 256, 64, 64), np.float32)
    coords, labels = np.full((2, 3, 2), 500, np.float32), np.ones((2, 3), np.float32)
    logits, iou = backend.decode(features, coords, labels)
    assert (logits.shape, logits.dtype) == ((2, 4, 256, 256), np.float32)
    assert (iou.shape, iou.dtype) == ((2, 4), np.float32)


def test_a_smaller_map_gives_the_same_object_coarsely(sam: SAM) -> None:
    """Averaged by 2, and without the padding: what the first look of everything mode stands on."""
    backend = sam.predictor.backend
    embedding = load_sam("pytorch").embed(COFFEE)
    whole = embedding.features_bchw
    coords, labels = np.array([[[512, 341], [0, 0]]], np.float32), np.array([[1, -1]], np.float32)
    logits, _ = backend.decode(whole, coords, labels)
    halved = whole.reshape(1, 256, 32, 2, 32, 2).mean(axis=(3, 5))
    for cut, rows in ((32, 128), (22, 88)):
        rough, iou = backend.decode(np.ascontiguousarray(halved[:, :, :cut]), coords, labels)
        assert (rough.shape, iou.shape) == ((1, 4, rows, 128), (1, 4))
        ours, theirs = rough[0, 3, :85] > 0, logits[0, 3, :170:2, ::2] > 0
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.8
        reference, _ = load_sam("pytorch").predictor.backend.decode(halved[:, :, :cut], coords, labels)
        np.testing.assert_allclose(rough, reference, atol=3e-2)


def test_a_batch_equals_its_prompts_one_by_one(sam: SAM) -> None:
    embedding = sam.embed(COFFEE)
    together = sam.predict(embedding, points=POINTS, multimask=True)[0]
    single = [sam.predict(embedding, points=point, multimask=True)[0] for point in POINTS]
    np.testing.assert_allclose(together.low_res, np.concatenate([r.low_res for r in single]), atol=2e-3)
    np.testing.assert_allclose(together.iou, np.concatenate([r.iou for r in single]), atol=1e-4)


def test_prompts_of_different_length_in_one_call(sam: SAM) -> None:
    embedding = sam.embed(COFFEE)
    points = [[[300, 200]], [[300, 200], [330, 240], [60, 40]], [[150, 120], [160, 130]]]
    labels = [[1], [1, 1, 0], [1, 1]]
    together = sam.predict(embedding, points=points, labels=labels)[0]
    for i, (p, label) in enumerate(zip(points, labels, strict=True)):
        alone = sam.predict(embedding, points=[p], labels=[label])[0]
        np.testing.assert_allclose(together.low_res[i], alone.low_res[0], atol=2e-3)


def test_a_mask_alone_is_a_prompt(sam: SAM) -> None:
    """No point and no box: the decoder gets no prompt token at all, and every runtime must bear that."""
    low_res = load_sam("pytorch").predict(COFFEE, points=POINTS[0], multimask="best")[0].low_res
    ours = sam.predict(COFFEE, masks=low_res, multimask=True)[0]
    reference = load_sam("pytorch").predict(COFFEE, masks=low_res, multimask=True)[0]
    np.testing.assert_allclose(ours.low_res, reference.low_res, atol=1e-2)
    np.testing.assert_allclose(ours.iou, reference.iou, atol=1e-3)


def test_masks_with_points_and_boxes(sam: SAM) -> None:
    low_res = load_sam("pytorch").predict(COFFEE, points=POINTS[:2], multimask="best")[0].low_res
    given = {"points": POINTS[:2], "bboxes": [[80, 20, 480, 390], [70, 20, 480, 390]], "masks": low_res}
    ours, reference = sam.predict(COFFEE, **given)[0], load_sam("pytorch").predict(COFFEE, **given)[0]
    np.testing.assert_allclose(ours.low_res, reference.low_res, atol=1e-2)


def test_eight_threads_give_the_bytes_of_one(sam: SAM) -> None:
    embedding = sam.embed(COFFEE)
    image = np.ascontiguousarray(embedding.image)

    def work(i: int) -> tuple[bytes, bytes]:
        result = sam.predict(embedding, points=POINTS[i % len(POINTS)], multimask=True)[0]
        features = sam.embed(image).features_bchw if i % 4 == 0 else embedding.features_bchw
        return result.low_res.tobytes() + result.iou.tobytes(), features.tobytes()

    alone = [work(i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == alone


def test_one_thread_is_enough() -> None:
    for runtime in backends.RUNTIMES:
        result = SAM(runtime=runtime, precision="fp32", threads=1).predict(COFFEE, points=POINTS[0])[0]
        reference = load_sam(runtime).predict(COFFEE, points=POINTS[0])[0]
        np.testing.assert_allclose(result.low_res, reference.low_res, atol=5e-3)


def test_bf16_is_bf16_or_a_named_error() -> None:
    for runtime in backends.RUNTIMES:
        try:
            loaded = SAM(runtime=runtime, precision="bf16")
        except InputError as error:
            assert runtime == "onnx", error  # noqa: PT017  # one runtime may refuse, and must say what to use
            assert "fp32" in str(error)  # noqa: PT017
        else:
            assert loaded.info.precision == "bf16"
            exact = load_sam(runtime).predict(COFFEE, points=POINTS)[0]
            close = loaded.predict(COFFEE, points=POINTS)[0]
            overlap = (exact.masks & close.masks).sum(axis=(1, 2)) / (exact.masks | close.masks).sum(axis=(1, 2))
            assert overlap.mean() > 0.97


@pytest.mark.parametrize("name", backends.RUNTIMES)
def test_every_runtime_names_its_devices(name: str) -> None:
    assert "cpu" in [device.split(":")[0] for device in backends.RUNTIMES[name].present_devices()]
