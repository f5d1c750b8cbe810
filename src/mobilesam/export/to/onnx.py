"""ONNX, opset 20: any number of prompts and points. What ONNX Runtime, browsers and most converters read.

| precision | what is done | runs |
|---|---|---|
| fp32 | nothing | everywhere |
| fp16 | large tensors stored in half precision, cast at loading | everywhere, at fp32's speed |
| int8 | products with weights in 8 bits, inputs quantised as they come; the rest as fp16 | ONNX Runtime |
| int8-weights | weights of products in 8 bits by blocks of 32; the rest as fp16 | ONNX Runtime |

Convolutions, LayerNorm and softmax stay in float: in 8 bits they break the masks.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from ..contract import CONTRACT, sizes
from ..networks import Networks
from ..onnx_file import onnx_file

OPSET, IR_VERSION = 20, 10
"""The lowest opset with GELU as one operator: with 18 ONNX Runtime encodes a fifth slower."""
LARGE = 256
"""Tensors of fewer values stay in single precision."""
BLOCK = 32


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.onnx and decoder.onnx."""
    for part in CONTRACT:
        model = onnx.load_from_string(part_file(networks, part))
        model = {"int8": _dynamic_int8, "int8-weights": _weights_int8}.get(precision, lambda same: same)(model)
        if precision != "fp32":
            store_half(model)
        (folder / f"{part}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def part_file(networks: Networks, part: str) -> bytes:
    """One of the two networks in single precision."""
    free: dict[str, Any] | None = None
    tensors = networks.encoder_inputs()
    if part == "decoder":
        prompts, points = torch.export.Dim("prompts"), torch.export.Dim("points")
        # Of two prompts and three points: an example of 1 or of equal numbers would make an axis fixed.
        tensors = networks.decoder_inputs(prompts=2, points=3)
        both = {0: prompts, 1: points}
        free = {"features": None, "coords": both, "labels": both, "mask": {0: prompts}, "has_mask": None}
    names = [tensor.name for tensor in CONTRACT[part].inputs]
    axes = sizes(networks.img_size, None, None)
    outputs = {tensor.name: tensor.shape(axes) for tensor in CONTRACT[part].outputs}
    inputs = dict(zip(names, tensors, strict=True))
    return onnx_file(getattr(networks, part), inputs, free, names, outputs, opset=OPSET, ir_version=IR_VERSION)


def store_half(model: onnx.ModelProto) -> None:
    """Large tensors as float16 with a Cast behind each, which runtimes fold when they load the file."""
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])


def _dynamic_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # two seconds to import
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "quantised.onnx"
        # Its own optimisation would turn the products into Gemm, which the quantiser then leaves alone.
        quant_pre_process(model, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            prepared, quantised, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True
        )
        return onnx.load(quantised)


def _weights_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer  # noqa: PLC0415  # as above

    quantizer = MatMulNBitsQuantizer(model, bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    return quantizer.model.model
