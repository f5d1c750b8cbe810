"""ONNX graphs without weights: one small file a network, whatever the checkpoint.

`mobilesam.backends.graph` puts a state dict into such a graph without torch or the onnx
package, so one graph serves the bundled weights, upstream's checkpoint and a user's own training.
docs/decisions/0001-graphs-without-weights.md has the reasons.
"""

from __future__ import annotations

import json
import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import onnxscript.optimizer
import torch
from torch import Tensor, nn

from ..catalog.models import ARCHS
from ..nn.config import TinyVitConfig
from ..nn.cut import CutTinyVit
from ..nn.sam import Sam, image_encoder, with_encoder

PARTS = ("encoder", "prompts", "decoder", "decoder_masked")
OPSET = 20
"""The lowest with GELU as one operator; with 18 onnxruntime encodes 20 % slower."""


class _Encoder(nn.Module):
    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = sam.image_encoder

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.image_encoder(image)
        return out


class _CutEncoder(_Encoder):
    """For the upper rows of a photo, whose rest is blank."""

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = CutTinyVit.forward(self, image)  # type: ignore[arg-type]  # has the part it needs
        return out


class _Prompts(nn.Module):
    """A graph of its own, since it needs float32: rounded to bfloat16 a click would move by up to two pixels."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder = sam.prompt_encoder

    def forward(self, coords: Tensor, labels: Tensor) -> Tensor:
        tokens: Tensor = self.prompt_encoder.sparse(coords, labels)
        return tokens


class _Decoder(nn.Module):
    """Without a mask: the image map keeps its batch of 1, and the first layer reads it once for all prompts."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder = sam.prompt_encoder
        self.mask_decoder = sam.mask_decoder

    def forward(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return Sam.decode_tokens(self, features, tokens)  # type: ignore[arg-type]  # has the two parts it needs


class _MaskedDecoder(_Decoder):
    """With earlier low-resolution logits for each prompt."""

    def forward(  # type: ignore[override]  # one more input
        self, features: Tensor, tokens: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        return Sam.decode_tokens(self, features, tokens, mask)  # type: ignore[arg-type]  # as above


def write_architecture(arch: str, folder: Path) -> None:
    """Write what `catalog/files` has of an architecture: its table of keys and its encoder's graph.

    MobileSAM's comes with the graphs that all share.
    """
    sam = weightless(arch)
    lines = [f"{json.dumps(key)}: {json.dumps(list(value.shape))}" for key, value in sam.state_dict().items()]
    (folder / f"{arch}.keys.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for part in PARTS if arch == "mobile_sam" else PARTS[:1]:
        owner = arch if part == "encoder" else "sam"
        (folder / f"{owner}_{part}.onnx.graph").write_bytes(graph(sam, part))


def write_cuts(arch: str, path: Path) -> None:
    """Write the encoders of a photo's part, for each of the architecture's cuts, as one zip file."""
    sam = weightless(arch)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for rows in ARCHS[arch].cuts:
            file.writestr(zipfile.ZipInfo(f"encoder_{rows}"), graph(sam, f"encoder_{rows}"), zipfile.ZIP_DEFLATED)


def weightless(arch: str | TinyVitConfig, img_size: int = 1024) -> Sam:
    """A model of which only the shapes count: its weights, all zero, take no memory, whatever their number."""
    with torch.device("meta"):
        sam = with_encoder(image_encoder(arch, img_size), img_size)
    zeros = {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in sam.state_dict().items()}
    sam.load_state_dict(zeros, assign=True)
    return sam


def graph(sam: Sam, part: str) -> bytes:
    """The weight-free graph of one of `PARTS`, for photos of the model's size; "encoder_45" is for 45 rows of 16."""
    network, inputs, dynamic, outputs = _traced(sam, part)
    return _without_weights(trace(network, inputs, dynamic, outputs), set(network.state_dict()))


def _traced(sam: Sam, part: str) -> tuple[nn.Module, dict[str, Tensor], dict[str, Any] | None, list[str]]:
    """A part as a module, with examples of its inputs, their free axes, and its outputs' names."""
    size = sam.prompt_encoder.img_size
    axes = {name: torch.export.Dim(name) for name in ("prompts", "tokens", "rows", "columns")}
    free = {0: axes["prompts"], 1: axes["tokens"]}
    # Sizes that differ, and two prompts of three tokens: with a 1 or equal numbers the exporter would take an axis
    # for fixed.
    tokens = torch.zeros(2, 3, 256)
    if part == "encoder":
        return _Encoder(sam), {"image": torch.zeros(1, 3, size, size)}, None, ["features"]
    if part.startswith("encoder_"):
        rows = 16 * int(part.removeprefix("encoder_"))
        return _CutEncoder(sam), {"image": torch.zeros(1, 3, rows, size)}, None, ["features"]
    if part == "prompts":
        points = {"coords": torch.zeros(2, 3, 2), "labels": torch.ones(2, 3)}
        return _Prompts(sam), points, {"coords": free, "labels": free}, ["tokens"]
    if part == "decoder":  # without masks, for maps of any size
        features = torch.zeros(1, 256, size // 32 - 2, size // 32)
        dynamic = {"features": {2: axes["rows"], 3: axes["columns"]}, "tokens": free}
        return _Decoder(sam), {"features": features, "tokens": tokens}, dynamic, ["logits", "iou"]
    features, mask = torch.zeros(1, 256, size // 16, size // 16), torch.zeros(2, 1, size // 4, size // 4)
    masked = {"features": None, "tokens": free, "mask": {0: axes["prompts"]}}
    return _MaskedDecoder(sam), {"features": features, "tokens": tokens, "mask": mask}, masked, ["logits", "iou"]


def trace(
    network: nn.Module,
    inputs: dict[str, Tensor],
    dynamic: dict[str, Any] | None,
    outputs: list[str],
    *,
    names: list[str] | None = None,
    opset: int = OPSET,
    optimize: bool = False,
) -> ir.Model:
    """The network as an ONNX model, its inputs called as in `inputs` or else `names`.

    Without `optimize` no weight is folded into a constant.
    """
    with _quiet():
        program = torch.onnx.export(
            network.eval(),
            kwargs=inputs,
            dynamic_shapes=dynamic,
            input_names=names or list(inputs),
            output_names=outputs,
            opset_version=opset,
            dynamo=True,
            optimize=optimize,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    return program.model


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


def _without_weights(program: ir.Model, names: set[str]) -> bytes:
    """The optimised model, with the tensors of the state dict left out.

    While it is optimised the weights are inputs, so that nothing computed from them is folded; and they become
    inputs before anything is serialised, as protobuf holds no more than two gigabytes.
    """
    for name in sorted(names & set(program.graph.initializers)):
        weight = program.graph.initializers.pop(name)
        weight.const_value = None
        program.graph.inputs.append(weight)
    model = onnxscript.optimizer.optimize(ir.to_proto(program), num_iterations=4, onnx_shape_inference=True)
    for info in [i for i in model.graph.input if i.name in names]:
        model.graph.input.remove(info)
    share_equal_tensors(model.graph)
    strip_metadata(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def share_equal_tensors(graph: onnx.GraphProto) -> None:
    """Keep one of several equal constants (each attention block brings its own offset table)."""
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    for tensor in list(graph.initializer):
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = ""
        kept = first.setdefault(copy.SerializeToString(deterministic=True), tensor.name)
        if kept != tensor.name:
            renamed[tensor.name] = kept
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def strip_metadata(model: onnx.ModelProto) -> None:
    """The exporter notes stack traces with the paths of this machine; shapes inside are inferred again."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
        value.doc_string = ""
