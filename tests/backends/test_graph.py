from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from mobilesam.backends.graph import named_in, with_initializers, with_inputs
from mobilesam.catalog.models import ARCHS

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def addition() -> bytes:
    """x + weight, without the weight."""
    node = onnx.helper.make_node("Add", ["x", "weight"], ["y"])
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 3])
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]), ir_version=10).SerializeToString()


def test_only_whole_names_are_found(addition: bytes) -> None:
    assert named_in(addition, ["weight", "unused", "weigh", "x"]) == ["weight", "x"]


def test_onnx_runtime_takes_the_declared_weights_from_memory(addition: bytes) -> None:
    options = ort.SessionOptions()
    options.add_external_initializers(["weight"], [ort.OrtValue.ortvalue_from_numpy(WEIGHT)])
    session = ort.InferenceSession(with_initializers(addition, {"weight": WEIGHT}), options)
    np.testing.assert_array_equal(session.run(None, {"x": WEIGHT})[0], 2 * WEIGHT)


def test_declared_inputs_have_the_weights_shapes(addition: bytes) -> None:
    model = onnx.load_from_string(with_inputs(addition, {"weight": WEIGHT}))
    onnx.checker.check_model(model, full_check=True)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    assert shapes == {"x": [2, 3], "weight": [2, 3]}


@pytest.mark.parametrize("arch", ARCHS.values(), ids=ARCHS.keys())
def test_every_shipped_graph_passes_onnx_own_checker_and_all_keys_that_count_are_read(arch) -> None:
    state = {key: np.broadcast_to(np.float32(0), shape) for key, shape in arch.shapes.items()}
    read: set[str] = set()
    for part in arch.graphs:
        graph = arch.graph(part)
        weights = {key: state[key] for key in named_in(graph, state)}
        onnx.checker.check_model(onnx.load_from_string(with_inputs(graph, weights)), full_check=True)
        assert weights, "no weight got in"
        read |= weights.keys()
    # The same for all keys of an attention, these drop out of its softmax (nn/transformer.py).
    cancelled = {key for key in state if "token_to_image.k_proj.bias" in key}
    assert {key for key in state if not arch.is_optional(key)} - cancelled == read


def test_the_graphs_tell_nothing_of_the_machine_that_made_them() -> None:
    for arch in ARCHS.values():
        for part in arch.graphs:
            data = arch.graph(part)
            assert b"/site-packages/" not in data
            assert b".py" not in data
