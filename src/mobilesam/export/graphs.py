"""ONNX graphs without weights: one small file a network, whatever the checkpoint.

`mobilesam.backends.graph.complete` puts a state dict into such a graph without torch or the onnx
package, so one graph serves the bundled weights, upstream's checkpoint and a user's own training.
docs/decisions/0001-graphs-without-weights.md has the reasons.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxscript.optimizer
import torch
from torch import Tensor, nn

from ..nn.sam import Sam

OPSET = 20
"""The lowest with GELU as one operator; with 18 onnxruntime encodes 20 % slower."""


class _Encoder(nn.Module):
    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = sam.image_encoder

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.image_encoder(image)
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


def export_graphs(sam: Sam, folder: Path, prefix: str) -> None:
    """Write the weight-free graphs of encoder, prompts, decoder and decoder with masks into `folder`."""
    size = sam.prompt_encoder.img_size
    features = torch.zeros(1, 256, size // 16, size // 16)
    # The decoder without masks takes maps of any size. Sizes that differ, and two prompts of three tokens:
    # with a 1 or equal numbers the exporter would take an axis for fixed.
    any_features = torch.zeros(1, 256, size // 32 - 2, size // 32)
    coords, labels, mask = torch.zeros(2, 3, 2), torch.ones(2, 3), torch.zeros(2, 1, size // 4, size // 4)
    tokens = torch.zeros(2, 3, 256)
    axes = {name: torch.export.Dim(name) for name in ("prompts", "tokens", "rows", "columns")}
    free = {0: axes["prompts"], 1: axes["tokens"]}

    for name, network, inputs, dynamic, outputs in (
        ("encoder", _Encoder(sam), {"image": torch.zeros(1, 3, size, size)}, None, ["features"]),
        ("prompts", _Prompts(sam), {"coords": coords, "labels": labels}, {"coords": free, "labels": free}, ["tokens"]),
        (
            "decoder",
            _Decoder(sam),
            {"features": any_features, "tokens": tokens},
            {"features": {2: axes["rows"], 3: axes["columns"]}, "tokens": free},
            ["logits", "iou"],
        ),
        (
            "decoder_masked",
            _MaskedDecoder(sam),
            {"features": features, "tokens": tokens, "mask": mask},
            {"features": None, "tokens": free, "mask": {0: axes["prompts"]}},
            ["logits", "iou"],
        ),
    ):
        model = trace(network, inputs, dynamic, outputs)
        (folder / f"{prefix}_{name}.onnx.graph").write_bytes(_without_weights(model, set(sam.state_dict())))


def trace(
    network: nn.Module,
    inputs: dict[str, Tensor],
    dynamic: dict[str, Any] | None,
    outputs: list[str],
    *,
    names: list[str] | None = None,
    opset: int = OPSET,
    optimize: bool = False,
) -> onnx.ModelProto:
    """The network as an ONNX model, its inputs called as in `inputs` or else `names`.

    Without `optimize` no weight is folded into a constant.
    """
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
    model: onnx.ModelProto = program.model_proto
    return model


def _without_weights(model: onnx.ModelProto, names: set[str]) -> bytes:
    """The optimised model, with the tensors of the state dict left out.

    While it is optimised the weights are inputs, so that nothing computed from them is folded.
    """
    weights = [t for t in model.graph.initializer if t.name in names]
    for tensor in weights:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        model.graph.initializer.remove(tensor)
    model = onnxscript.optimizer.optimize(model, num_iterations=4, onnx_shape_inference=True)
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
