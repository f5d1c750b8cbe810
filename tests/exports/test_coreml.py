"""Core ML's files can't be run here: their descriptions are read, and their weights looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from exported_formats import chosen
from mobilesam.export import export
from mobilesam.export.contract import CONTRACT

pytestmark = [
    pytest.mark.exports,
    pytest.mark.skipif("coreml" not in chosen(["coreml"]), reason="coremltools isn't installed"),
]
SHAPES = {
    "image": [1, 3, 1024, 1024],
    "features": [1, 256, 64, 64],
    "coords": [1, 8, 2],
    "labels": [1, 8],
    "mask": [1, 1, 256, 256],
    "has_mask": [1],
    "logits": [1, 4, 256, 256],
    "iou": [1, 4],
}
BYTES = {"fp32": (47e6, 50e6), "fp16": (23e6, 26e6), "int8": (12e6, 18e6)}


@pytest.fixture(scope="module", params=list(BYTES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    target = tmp_path_factory.mktemp("coreml") / request.param
    export("mobilesam", target, format="coreml", precision=request.param)
    return request.param, target


def test_the_descriptions_are_the_contract(made) -> None:
    import coremltools as ct

    precision, folder = made
    float32 = ct.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    for part, contract in CONTRACT.items():
        spec = ct.models.MLModel(str(folder / f"{part}.mlpackage"), skip_model_load=True).get_spec()
        assert spec.specificationVersion == 7  # iOS 16
        for found, expected in ((spec.description.input, contract.inputs), (spec.description.output, contract.outputs)):
            assert [feature.name for feature in found] == [tensor.name for tensor in expected]
            for feature in found:
                array = feature.type.multiArrayType
                assert (list(array.shape), array.dataType) == (SHAPES[feature.name], float32)
                assert feature.shortDescription
        (block,) = spec.mlProgram.functions["main"].block_specializations.values()
        kinds = {operation.type for operation in block.operations}
        assert {"linear", "softmax", "layer_norm"} <= kinds
        assert ("constexpr_affine_dequantize" in kinds) == (precision == "int8")
        assert len(block.operations) < 2000
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert BYTES[precision][0] < size < BYTES[precision][1]
