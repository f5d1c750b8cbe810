"""Core ML for iPhones, iPads and Macs, as ML programs: one prompt of a fixed number of points.

Converted anywhere; run on Apple's systems only, so nothing here has seen these files run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..contract import CONTRACT
from ..networks import Networks
from ..quiet import quiet


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.mlpackage and decoder.mlpackage (folders) for iOS 16, macOS 13 and later.

    Inputs and outputs have the contract's names and are float32. "fp16" computes in half precision too, which the
    Neural Engine needs; "int8" also stores the weights of linear layers in 8 bits, a scale for each output channel.
    """
    with quiet():
        for part, inputs in (("encoder", networks.encoder_inputs()), ("decoder", networks.decoder_inputs())):
            # From an exported program: the way over TorchScript fails with NumPy 2.4 and coremltools 9.0.
            program = torch.export.export(getattr(networks, part), inputs).run_decompositions({})
            model = _program(program, part, inputs, half=precision != "fp32")
            if precision == "int8":
                model = _compressed(model)
            model.save(str(folder / f"{part}.mlpackage"))


def _program(program: torch.export.ExportedProgram, part: str, inputs: tuple[torch.Tensor, ...], *, half: bool) -> Any:
    import coremltools as ct
    import numpy as np

    described = zip(CONTRACT[part].inputs, inputs, strict=True)
    model = ct.convert(
        program,
        inputs=[
            ct.TensorType(name=spec.name, shape=tuple(example.shape), dtype=np.float32) for spec, example in described
        ],
        outputs=[ct.TensorType(name=spec.name, dtype=np.float32) for spec in CONTRACT[part].outputs],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
        skip_model_load=True,
    )
    for spec in CONTRACT[part].inputs:
        model.input_description[spec.name] = spec.meaning
    for spec in CONTRACT[part].outputs:
        model.output_description[spec.name] = spec.meaning
    return model


def _compressed(model: Any) -> Any:
    import coremltools.optimize.coreml as cto

    linear = cto.OpLinearQuantizerConfig(mode="linear_symmetric", granularity="per_channel", weight_threshold=2048)
    config = cto.OptimizationConfig(op_type_configs={"linear": linear, "matmul": linear})
    return cto.linear_quantize_weights(model, config)
