"""Steps of the converters that need none of their packages."""

from __future__ import annotations

import logging
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from mobilesam import ExportError
from mobilesam.backends import names
from mobilesam.export.contract import CONTRACT
from mobilesam.export.quiet import quiet
from mobilesam.export.to.ncnn import check_layers
from mobilesam.export.to.tensorrt import half_products

KNOWN = "7767517\n2 2\nInput in0 0 1 in0\nUnaryOp abs_1 1 1 in0 out0 0=0\n"


def test_layers_that_ncnn_lacks_are_named() -> None:
    check_layers(KNOWN, "decoder")
    for layer in ("torch.eq", "aten::roll"):
        with pytest.raises(ExportError, match=rf"ncnn has no {layer}, which pnnx left in the decoder"):
            check_layers(KNOWN + f"{layer} x 1 1 in0 out0\n", "decoder")


def test_runtimes_that_go_by_name_have_the_contracts() -> None:
    for part, contract in CONTRACT.items():
        assert names.INPUTS[part] == tuple(tensor.name for tensor in contract.inputs)
        assert names.OUTPUTS[part] == tuple(tensor.name for tensor in contract.outputs)


def test_products_alone_are_computed_in_half_precision() -> None:
    rng = np.random.default_rng(0)
    weight, scale, shift = (rng.normal(size=size).astype(np.float32) for size in ((32, 32), (32,), (32,)))
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "shift"], ["normed"]),
        helper.make_node("MatMul", ["normed", "weight"], ["mixed"]),
        helper.make_node("Softmax", ["mixed"], ["y"]),
    ]
    values = {"weight": weight, "scale": scale, "shift": shift}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [2, 32])],
        [helper.make_tensor_value_info("y", kind, [2, 32])],
        [onnx.numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    x = rng.normal(size=(2, 32)).astype(np.float32) * 1e5  # a LayerNorm in half precision would overflow
    exact = _run(model, x)
    half_products(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    (product,) = (node for node in model.graph.node if node.op_type == "MatMul")
    assert {types[name] for name in (*product.input, *product.output)} == {onnx.TensorProto.FLOAT16}
    assert {types["normed"], types["mixed"]} == {kind}
    found = _run(model, x)
    assert 0 < abs(found - exact).max() < 2e-3


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_a_quiet_block_leaves_everything_as_it_was(capsys: pytest.CaptureFixture[str], caplog) -> None:
    before = (sys.stdout, sys.stderr, logging.root.manager.disable)

    def fails() -> None:
        with quiet():
            sys.stdout.write("chatter")
            sys.stderr.write("chatter")
            warnings.warn("will be deprecated", DeprecationWarning, stacklevel=1)
            logging.getLogger("converter").warning("chatter")
            raise ValueError("kept")

    with pytest.raises(ValueError, match="kept"):
        fails()
    assert (sys.stdout, sys.stderr, logging.root.manager.disable) == before
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []
