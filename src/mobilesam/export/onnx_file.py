"""A network as one ONNX file, weights inside, without notes of the machine that made it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    with _quiet():
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


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's warnings are about itself: that torchvision isn't there, what it will call deprecated."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
