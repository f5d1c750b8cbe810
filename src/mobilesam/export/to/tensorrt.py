"""TensorRT engines for one kind of NVIDIA GPU: built from ONNX where TensorRT and that GPU are.

An engine runs only on the kind of GPU and the version of TensorRT that it was built with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from ...errors import ExportError
from ..contract import CONTRACT
from ..networks import Networks
from .onnx import part_file

PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")
FEWEST, USUAL, MOST = (1, 1), (16, 2), (64, 16)
"""Prompts and points of each: what the decoder takes, and what it is tuned for."""


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.engine and decoder.engine, the latter for 1 to 64 prompts of 1 to 16 points.

    "fp16" computes products and convolutions in half precision, and LayerNorm, softmax and positions in single.
    Raises ExportError where TensorRT finds no GPU or can't build.
    """
    for part in CONTRACT:
        model = onnx.load_from_string(part_file(networks, part))
        if precision == "fp16":
            half_products(model.graph)
        (folder / f"{part}.engine").write_bytes(_build(model, part, networks))


def half_products(graph: onnx.GraphProto) -> None:
    """Products and convolutions in half precision, by a cast before and behind each; everything else as it was.

    TensorRT 11 takes the types of the graph and no flag.
    """
    nodes = []
    for node in graph.node:
        if node.op_type not in PRODUCTS:
            nodes.append(node)
            continue
        halves = [f"{node.output[0]}_half_{i}" for i in range(len(node.input))]
        nodes += [_cast(*pair, onnx.TensorProto.FLOAT16) for pair in zip(node.input, halves, strict=True)]
        output = f"{node.output[0]}_half"
        back = _cast(output, node.output[0], onnx.TensorProto.FLOAT)
        node.input[:] = halves
        node.output[:] = [output]
        nodes += [node, back]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=to)


def _build(model: onnx.ModelProto, part: str, networks: Networks) -> bytes:
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    try:
        builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:
        raise ExportError(
            f"TensorRT {trt.__version__} finds no NVIDIA GPU it can use here ({error}). Engines are built on the kind "
            "of machine that runs them; export to onnx to take the model there."
        ) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        raise ExportError(f"TensorRT {trt.__version__} can't read the {part}: {parser.get_error(0)}.")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # ten bits of fraction, under the name of single precision
    if part == "decoder":
        config.add_optimization_profile(_profile(builder, networks))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(f"TensorRT {trt.__version__} can't build the {part}; its own messages say why.")
    return bytes(plan)


def _profile(builder: Any, networks: Networks) -> Any:
    """The smallest, usual and largest shapes of the decoder's free axes."""
    profile = builder.create_optimization_profile()
    low = 4 * networks.cells
    sizes = (FEWEST, USUAL, MOST)
    profile.set_shape("coords", *[(prompts, points, 2) for prompts, points in sizes])
    profile.set_shape("labels", *[(prompts, points) for prompts, points in sizes])
    profile.set_shape("mask", *[(prompts, 1, low, low) for prompts, _ in sizes])
    return profile
