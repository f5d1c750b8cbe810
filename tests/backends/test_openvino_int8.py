from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from mobilesam import SAM, InputError
from mobilesam.backends import Checkpoint, openvino, openvino_int8
from mobilesam.catalog import locate


@pytest.fixture
def bundled() -> Checkpoint:
    return Checkpoint(locate("mobilesam"))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same architecture, other weights."""
    state = load_file(locate("mobilesam"))
    state["image_encoder.neck.0.weight"] = state["image_encoder.neck.0.weight"] * 2
    save_file(state, tmp_path / "other.safetensors")
    return tmp_path / "other.safetensors"


def test_every_linear_layer_of_the_encoder_has_a_range(bundled: Checkpoint) -> None:
    ranges = openvino_int8.measured(bundled)
    assert ranges is not None
    linear = {k for k, shape in bundled.shapes.items() if k.startswith("image_encoder.layers") and len(shape) == 2}
    assert ranges.keys() == {k for k in linear if not k.endswith("attention_biases")}
    assert all(low < 0 < high for low, high in ranges.values())


def test_all_of_them_are_multiplied_in_8_bits(bundled: Checkpoint) -> None:
    backend = openvino.load(bundled, device="cpu", precision="int8", threads=None)
    for part in ("encoder", "encoder_45"):
        kinds = [
            operation.get_rt_info()["runtimePrecision"].astype(str)
            for operation in backend._compiled(part, part).get_runtime_model().get_ops()
            if operation.get_rt_info()["layerType"].astype(str) == "FullyConnected"
        ]
        assert sum(kind in ("i8", "u8") for kind in kinds) == 40, kinds


def test_other_weights_have_no_ranges(other: Path) -> None:
    assert openvino_int8.measured(Checkpoint(other)) is None
    assert SAM(other, runtime="openvino").info.precision in ("fp32", "bf16")
    with pytest.raises(InputError, match="ranges that were measured"):
        SAM(other, runtime="openvino", precision="int8")


@pytest.mark.parametrize("runtime", ["onnx", "pytorch"])
def test_other_runtimes_have_no_int8(runtime: str) -> None:
    with pytest.raises(InputError, match="int8|fp32 only"):
        SAM(runtime=runtime, precision="int8")


@pytest.mark.parametrize(("has_vnni", "expected"), [(True, "int8"), (False, "fp32")])
def test_what_auto_takes_where_there_is_no_bf16(bundled, monkeypatch, has_vnni: bool, expected: str) -> None:
    class Core:
        available_devices = ("CPU",)

        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "is_fast_here", lambda: has_vnni)
    assert openvino._precision(Core(), "CPU", "auto", openvino_int8.measured(bundled)) == expected


def test_auto_takes_bf16_where_the_processor_has_it(bundled: Checkpoint) -> None:
    class Core:
        available_devices = ("CPU",)

        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8", "BF16"]

    assert openvino._precision(Core(), "CPU", "auto", openvino_int8.measured(bundled)) == "bf16"
