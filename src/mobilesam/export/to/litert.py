"""LiteRT (TensorFlow Lite) for Android, iOS and small boards: one prompt of a fixed number of points.

litert-torch converts, ai-edge-quantizer makes the smaller files; ai-edge-litert alone runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..contract import CONTRACT
from ..networks import Networks
from ..quiet import quiet


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.tflite and decoder.tflite; inputs and outputs have the contract's names in their signature.

    "fp16" stores weights in half precision, "int8" those of linear layers in 8 bits (a scale for each output
    channel) and the rest in half precision. Arithmetic stays in single precision.
    """
    with quiet():
        import litert_torch

        for part, inputs in (("encoder", networks.encoder_inputs()), ("decoder", networks.decoder_inputs())):
            names = [tensor.name for tensor in CONTRACT[part].inputs]
            network = Named(getattr(networks, part), [tensor.name for tensor in CONTRACT[part].outputs]).eval()
            path = folder / f"{part}.tflite"
            litert_torch.convert(network, sample_kwargs=dict(zip(names, inputs, strict=True))).export(str(path))
            if precision != "fp32":
                _quantize(path, precision)


class Named(nn.Module):
    """A network whose outputs have names: the converter takes those of a dict."""

    def __init__(self, network: nn.Module, outputs: list[str]) -> None:
        super().__init__()
        self.network = network
        self.outputs = outputs

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        made = self.network(**inputs)
        return dict(zip(self.outputs, made if isinstance(made, tuple) else (made,), strict=True))


def _quantize(path: Path, precision: str) -> None:
    from ai_edge_quantizer.quantizer import Quantizer

    Quantizer(str(path), _recipe(precision)).quantize().export_model(str(path), overwrite=True)


def _recipe(precision: str) -> Any:
    """What becomes of weights. In 8 bits convolutions would be two thirds of the embedding's error, for 1 MB of 12."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    operations = qtyping.TFLOperationName
    half = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
    )
    manager = RecipeManager()
    manager.add_quantization_config(".*", operations.ALL_SUPPORTED, half, algorithm_key=AlgorithmName.FLOAT_CASTING)
    if precision == "int8":
        manager.add_weight_only_config(
            ".*", operations.FULLY_CONNECTED, num_bits=8, algorithm_key=AlgorithmName.MIN_MAX_UNIFORM_QUANT
        )
    return manager.get_quantization_recipe()
