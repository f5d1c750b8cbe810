"""ExecuTorch, PyTorch's runtime for phones, with XNNPACK: one prompt of a fixed number of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..networks import Networks
from ..quiet import quiet


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.pte and decoder.pte.

    "int8" stores the weights of linear layers in 8 bits, a scale for each output channel, and rounds their inputs as
    they come. There is no fp16: XNNPACK would compute in half precision too.
    """
    with quiet():
        from executorch.exir import to_edge_transform_and_lower

        for part, inputs in (("encoder", networks.encoder_inputs()), ("decoder", networks.decoder_inputs())):
            program = torch.export.export(getattr(networks, part), inputs)
            if precision == "int8":
                program = torch.export.export(_quantized(program.module(), inputs), inputs)
            lowered = to_edge_transform_and_lower(program, partitioner=_partitioners(precision))
            (folder / f"{part}.pte").write_bytes(lowered.to_executorch().buffer)


def _quantized(network: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    prepared = prepare_pt2e(network, XNNPACKQuantizer().set_module_type(nn.Linear, config))
    with torch.no_grad():
        prepared(*inputs)  # weights alone are looked at: inputs are rounded as they come
    made: nn.Module = convert_pt2e(prepared)
    return made


def _partitioners(precision: str) -> list[Any]:
    from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    if precision == "fp32":
        return [XnnpackPartitioner()]
    # Quantised layers on their own first: together with others they make partitions that depend on each other.
    own = XnnpackPartitioner(config_precisions=ConfigPrecisionType.DYNAMIC_QUANT, per_op_mode=True)
    return [own, XnnpackPartitioner()]
