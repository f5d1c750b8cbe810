"""A network as one ONNX file, weights inside, without notes of the machine that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir
from torch import Tensor, nn

from .. import __version__
from .graphs import share_equal_tensors, strip_metadata, trace


def onnx_file(
    network: nn.Module,
    inputs: dict[str, Tensor],
    dynamic: dict[str, Any] | None,
    names: list[str],
    outputs: Mapping[str, Sequence[int | str]],
    *,
    opset: int,
    ir_version: int,
) -> bytes:
    """The network's file, its inputs called `names`; `outputs` are their names and shapes."""
    model = ir.to_proto(trace(network, inputs, dynamic, list(outputs), names=names, opset=opset, optimize=True))
    share_equal_tensors(model.graph)
    strip_metadata(model)
    del model.graph.output[:]  # the exporter has no names for free sizes, and forgets some fixed ones
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in outputs.items()
    )
    model.ir_version = ir_version
    model.producer_name, model.producer_version = "mobilesam", __version__
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
