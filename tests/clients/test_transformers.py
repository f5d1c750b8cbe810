"""transformers 5.23.0: SamModel with our weights under its names, and its mask-generation pipeline on our encoder."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import load_sam
from programs import best_partners, run

pytestmark = pytest.mark.nightly
PROMPTS = ("points", "boxes", "both")


@pytest.fixture(scope="module")
def arrays(checkpoint, photo, tmp_path_factory) -> dict[str, np.ndarray]:
    work = tmp_path_factory.mktemp("transformers")
    embedding = load_sam("pytorch").embed(photo)
    np.savez(work / "features.npz", features=embedding.features_bchw)

    def at(*xy: tuple[float, float]) -> list[list[float]]:
        return embedding.letterbox.to_model(np.array(xy)).tolist()

    box = np.ravel(at((170, 15), (425, 310))).tolist()
    prompts = {
        "points": {"input_points": [at((300, 200)), at((450, 120))], "input_labels": [[1], [1]]},
        "boxes": {"input_boxes": [box]},
        "both": {"input_points": [at((300, 200), (60, 40))], "input_labels": [[1, 0]], "input_boxes": [box]},
    }
    asked = {"photo": photo, "checkpoint": checkpoint, "points_per_side": 8, "prompts": prompts}
    assert run("transformers", asked, work) == {"version": "5.23.0"}
    with np.load(work / "arrays.npz") as data:
        return dict(data)


def decoded(photo, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Our four masks of the same prompts."""
    sam = load_sam("pytorch")
    embedding = sam.embed(photo)
    box = np.array([(170, 15), (425, 310)])
    coords, labels = {
        "points": ([[(300, 200), (0, 0)], [(450, 120), (0, 0)]], [[1, -1], [1, -1]]),
        "boxes": ([box], [[2, 3]]),
        "both": ([[(300, 200), (60, 40), *box]], [[1, 0, 2, 3]]),
    }[name]
    return sam.predictor.backend.decode(
        embedding.features_bchw, embedding.letterbox.to_model(np.array(coords)), np.array(labels, np.float32)
    )


@pytest.mark.parametrize("name", PROMPTS)
def test_its_decoder_gives_our_logits(arrays, photo, name: str) -> None:
    logits_bmhw, iou_bm = decoded(photo, name)
    for multimask, chosen in ((False, slice(0, 1)), (True, slice(1, 4))):
        spread = np.ptp(logits_bmhw[:, chosen])
        assert abs(arrays[f"{name}.{multimask}"] - logits_bmhw[:, chosen]).max() < 1e-5 * spread
        np.testing.assert_allclose(arrays[f"{name}.{multimask}.iou"], iou_bm[:, chosen], atol=1e-4)


def test_its_mask_generation_finds_our_masks(arrays, everything) -> None:
    found = arrays["everything"]
    assert len(found) == len(everything)
    assert best_partners(found, everything).min() > 0.98  # of two near-duplicates with equal scores either may stay
