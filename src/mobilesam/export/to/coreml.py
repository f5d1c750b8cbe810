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
            points = None if precision == "fp32" else networks.points
            model = _program(program, part, inputs, half_but_for=points)
            if precision == "int8":
                model = _compressed(model)
            model.save(str(folder / f"{part}.mlpackage"))


def _program(
    program: torch.export.ExportedProgram, part: str, inputs: tuple[torch.Tensor, ...], *, half_but_for: int | None
) -> Any:
    """The ML program; in half precision but for the positions of so many points, in single precision with None."""
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
        compute_precision=_arithmetic(half_but_for),
        skip_model_load=True,
    )
    for spec in CONTRACT[part].inputs:
        model.input_description[spec.name] = spec.meaning
    for spec in CONTRACT[part].outputs:
        model.output_description[spec.name] = spec.meaning
    return model


def _arithmetic(points: int | None) -> Any:
    """Half precision, but for what comes of coordinates: a click would be rounded to half a pixel of 1024."""
    import coremltools as ct

    if points is None:
        return ct.precision.FLOAT32

    def in_half(operation: Any) -> bool:
        shapes = [tuple(output.shape) for output in operation.outputs]
        return not all(
            len(s) == 3 and s[1] == points and s[2] <= 128 for s in shapes
        )  # (1, N, 2) to the sines' (1, N, 128)

    return ct.transform.FP16ComputePrecision(op_selector=in_half)


def _compressed(model: Any) -> Any:
    import coremltools.optimize.coreml as cto

    linear = cto.OpLinearQuantizerConfig(mode="linear_symmetric", granularity="per_channel", weight_threshold=2048)
    config = cto.OptimizationConfig(op_type_configs={"linear": linear, "matmul": linear})
    return cto.linear_quantize_weights(model, config)
