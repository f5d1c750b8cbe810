"""Every runtime against the upstream code's outputs: values, on all images and prompts."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import GOLDEN_NAMES, load_sam, read_golden
from mobilesam import SAM
from mobilesam.masks import iou, rle_decode
from references import predict
from tolerances import BF16_MEAN_MASK_IOU, HALF_STORED


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


def test_default_precision_is_close_to_fp32() -> None:
    exact, default = load_sam("openvino"), load_sam("openvino", "auto")
    if default.info.precision != "bf16":
        assert default.info == exact.info  # this processor has no bf16: "auto" is fp32
        return
    overlaps = []
    for name in GOLDEN_NAMES:
        golden = read_golden(name)
        first, second = exact.embed(golden.image), default.embed(golden.image)
        for key in golden.facts["prompts"]:
            pairs = zip(
                predict(exact, first, golden, key).masks,
                predict(default, second, golden, key).masks,
                strict=True,
            )
            overlaps += [iou(a, b) for a, b in pairs]
    assert np.mean(overlaps) >= BF16_MEAN_MASK_IOU
