from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mobilesam.backends.graph import complete
from mobilesam.catalog.models import ARCHS


def test_a_completed_graph_is_a_model_with_exactly_those_tensors() -> None:
    node = onnx.helper.make_node("Add", ["x", "weight"], ["y"])
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 3])
    graph = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y])).SerializeToString()
    weight = np.arange(6, dtype=np.float16).reshape(2, 3)
    # "weigh" is part of a name that is used, and must not slip in.
    model = onnx.load_from_string(complete(graph, {"weight": weight, "unused": weight, "weigh": weight}))
    assert [t.name for t in model.graph.initializer] == ["weight"]
    np.testing.assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), weight.astype(np.float32))
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("part", ["encoder", "decoder", "decoder_masked"])
@pytest.mark.parametrize("arch", ARCHS.values(), ids=ARCHS.keys())
def test_every_shipped_graph_passes_onnx_own_checker(arch, part) -> None:
    state = {key: np.zeros(shape, np.float32) for key, shape in arch.shapes.items()}
    model = onnx.load_from_string(complete(arch.graph(part).read_bytes(), state))
    onnx.checker.check_model(model, full_check=True)
    read = {t.name for t in model.graph.initializer}
    assert read & state.keys(), "no weight got in"


def test_the_graphs_read_every_key_that_counts() -> None:
    for arch in ARCHS.values():
        state = {key: np.zeros(shape, np.float32) for key, shape in arch.shapes.items()}
        read: set[str] = set()
        for part in arch.graphs:
            model = onnx.load_from_string(complete(arch.graph(part).read_bytes(), state))
            read |= {t.name for t in model.graph.initializer}
        # The same for all keys of an attention, these drop out of its softmax (nn/transformer.py).
        cancelled = {key for key in state if "token_to_image.k_proj.bias" in key}
        assert {key for key in state if not arch.is_optional(key)} - cancelled == read & state.keys()


def test_the_graphs_tell_nothing_of_the_machine_that_made_them() -> None:
    for arch in ARCHS.values():
        for part in arch.graphs:
            data = arch.graph(part).read_bytes()
            assert b"/site-packages/" not in data
            assert b".py" not in data
