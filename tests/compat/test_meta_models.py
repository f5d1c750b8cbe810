"""The whole models, at their full size, with seeded random weights: the reference package's numbers on every runtime.

ViT-L and ViT-H take gigabytes and minutes: `pytest -m slow`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
import torch
from safetensors.torch import save_file
from test_meta_values import EMBEDDING, LOGITS, close, drawn

from conftest import COFFEE
from mobilesam import SAM, backends
from mobilesam.nn.sam import build_sam

KEYS = {"mobile_sam": "vit_t", "sam_vit_b": "vit_b", "sam_vit_l": "vit_l", "sam_vit_h": "vit_h"}
QUICK = ("mobile_sam",)
ALL = [*QUICK, *(pytest.param(arch, marks=pytest.mark.slow) for arch in KEYS if arch not in QUICK)]


class Model(NamedTuple):
    arch: str
    sam: Any
    """The reference's, with random weights."""
    path: Path
    """The same weights as a file."""
    features: np.ndarray
    """The reference's embedding of the coffee photo."""
    photo: np.ndarray


@pytest.fixture(scope="module", params=ALL)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    sam = reference.load("mobile_sam").sam_model_registry[KEYS[request.param]]()
    reference.randomise(sam)
    sam.train().eval()  # upstream's TinyViT looks its biases up here
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(sam.state_dict(), path)
    photo = SAM().embed(COFFEE).image
    assert photo is not None
    predictor = reference.load("mobile_sam").SamPredictor(sam)
    predictor.set_image(photo)
    yield Model(request.param, sam, path, predictor.features.numpy(), photo)
    path.unlink()


@pytest.mark.parametrize("runtime", backends.RUNTIMES)
def test_every_runtime_gives_the_references_embedding_and_masks(model: Model, runtime: str) -> None:
    ours = SAM(model.path, runtime=runtime, precision="fp32")
    assert ours.info.model_id.startswith(f"{model.arch}-")
    embedding = ours.embed(model.photo)
    close(embedding.features_bchw, model.features, EMBEDDING)

    predictor = reference.load("mobile_sam").SamPredictor(model.sam)
    predictor.original_size, predictor.input_size, predictor.is_image_set = (400, 600), (683, 1024), True
    predictor.features = torch.from_numpy(model.features)
    _, iou, low_res = predictor.predict(
        np.array([[300, 200], [60, 40]]), np.array([1, 0]), np.array([80, 20, 480, 390])
    )
    found = ours.predict(
        embedding, points=[[[300, 200], [60, 40]]], labels=[[1, 0]], bboxes=[80, 20, 480, 390], multimask=True
    )[0]
    close(found.low_res, low_res, LOGITS)
    close(found.iou, iou, LOGITS)


def test_metas_interface_gives_the_references_embedding_and_masks(model: Model) -> None:
    ours = importlib.import_module("mobilesam.compat.mobile_sam")
    predictors = [reference.load("mobile_sam").SamPredictor(model.sam)]
    predictors += [ours.SamPredictor(ours.sam_model_registry[KEYS[model.arch]](model.path))]
    assert list(predictors[1].model.state_dict()) == list(model.sam.state_dict())
    predictors[0].original_size, predictors[0].input_size, predictors[0].is_image_set = (400, 600), (683, 1024), True
    predictors[0].features = torch.from_numpy(model.features)
    predictors[1].set_image(model.photo)
    close(predictors[1].features, model.features, EMBEDDING)
    point, label = np.array([[300, 200]]), np.array([1])
    expected, found = (predictor.predict(point, label, return_logits=True) for predictor in predictors)
    for a, b in zip(found, expected, strict=True):
        close(a, b, LOGITS)


def test_gradients_of_our_own_decoder() -> None:
    """The regrouped attentions of mobilesam.nn have the gradients of Meta's plain ones."""
    theirs = reference.load("mobile_sam").sam_model_registry["vit_t"]()
    reference.randomise(theirs)
    ours = build_sam()
    ours.load_state_dict(theirs.state_dict())
    features, mask = drawn(1, 256, 64, 64), drawn(2, 1, 256, 256)
    coords, labels = torch.tensor([[[500.0, 300], [90, 9]], [[200, 200], [0, 0]]]), torch.tensor([[1, 0], [1, -1]])

    theirs_features, ours_features = (features.clone().requires_grad_() for _ in range(2))
    sparse, dense = theirs.prompt_encoder(points=(coords, labels), boxes=torch.zeros(2, 4), masks=mask)
    decoder, positions = theirs.mask_decoder, theirs.prompt_encoder.get_dense_pe()
    expected = decoder.predict_masks(theirs_features, positions, sparse[:, :2], dense)
    found = ours.decode(ours_features, coords, labels, mask)
    for masks, iou in (expected, found):
        (masks.square().mean() + iou.square().sum()).backward()
    close(found[0], expected[0], LOGITS)
    close(found[1], expected[1], LOGITS)
    close(ours_features.grad, theirs_features.grad, LOGITS)
    gradients = {k: p.grad for k, p in ours.named_parameters() if p.grad is not None}
    compared = 0
    for key, parameter in theirs.named_parameters():
        # A key's bias cancels out of the softmax: its gradient is rounding.
        if parameter.grad is None or key.endswith("k_proj.bias"):
            continue
        scale = max(float(parameter.grad.abs().max()), 1e-6)
        torch.testing.assert_close(gradients[key], parameter.grad, rtol=0, atol=LOGITS * scale, msg=key)
        compared += 1
    assert compared > 100
