"""Every runtime against the upstream code's outputs: values, on all images and prompts."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import GOLDEN_NAMES, load_sam, read_golden
from mobilesam import SAM
from mobilesam.bench.machine import has_bf16
from mobilesam.masks import iou, rle_decode
from references import predict
from tolerances import BF16_MEAN_MASK_IOU, HALF_STORED, INT8_MEAN_MASK_IOU


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_bundled_weights_in_fp32_match_upstream(sam: SAM, name: str) -> None:
    golden, limit = read_golden(name), HALF_STORED
    embedding = sam.embed(golden.image)
    sampled = embedding.features_bchw[0, ::8, ::4, ::4]
    assert abs(sampled - golden.arrays["embedding"]).max() <= limit.embedding

    overlaps = []
    for key, entry in golden.facts["prompts"].items():
        result = predict(sam, embedding, golden, key)
        assert abs(result.low_res[:, ::8, ::8] - golden.arrays[f"{key}/low_res"]).max() <= limit.logits, key
        assert abs(result.iou - np.array(entry["iou"])).max() <= limit.iou, key
        overlaps += [iou(ours, rle_decode(rle)) for ours, rle in zip(result.masks, entry["masks"], strict=True)]
    assert np.mean(overlaps) >= limit.mean_mask_iou
    assert np.min(overlaps) >= limit.worst_mask_iou


def test_the_references_hold_what_the_issue_asks_for() -> None:
    assert len(GOLDEN_NAMES) == 6
    assert all(len(read_golden(name).facts["prompts"]) >= 20 for name in GOLDEN_NAMES)


@pytest.mark.parametrize(("precision", "least"), [("bf16", BF16_MEAN_MASK_IOU), ("int8", INT8_MEAN_MASK_IOU)])
def test_a_quick_precision_is_close_to_fp32(precision: str, least: float) -> None:
    if precision == "bf16" and not has_bf16():
        pytest.skip("this processor has no bf16")
    exact = load_sam("openvino")
    quick = SAM(runtime="openvino", precision=precision, padding="full")
    assert quick.info.precision == precision
    overlaps = []
    for name in GOLDEN_NAMES:
        golden = read_golden(name)
        first, second = exact.embed(golden.image), quick.embed(golden.image)
        for key in golden.facts["prompts"]:
            pairs = zip(
                predict(exact, first, golden, key).masks,
                predict(quick, second, golden, key).masks,
                strict=True,
            )
            overlaps += [iou(a, b) for a, b in pairs]
    assert np.mean(overlaps) >= least
