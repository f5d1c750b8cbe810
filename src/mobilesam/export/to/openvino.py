"""OpenVINO's own files (IR): any number of prompts and points. For Intel's CPUs, GPUs and NPUs.

| precision | what is done |
|---|---|
| fp32 | nothing |
| fp16 | weights stored in half precision |
| int8 | the encoder's linear layers in 8 bits, with ranges measured on photos (NNCF); the decoder as fp16 |
| int8-weights | weights of linear layers in 8 bits (NNCF) |

Convolutions, LayerNorm and softmax stay in float. An 8-bit decoder is no faster here than a half-precision one and
gives worse masks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino as ov

from ..._optional import require
from ...errors import InputError
from ..contract import CONTRACT
from ..networks import Networks
from .onnx import part_file


def convert(networks: Networks, folder: Path, *, precision: str) -> None:
    """Write encoder.xml and decoder.xml with their .bin files."""
    core = ov.Core()
    for part in CONTRACT:
        model = core.read_model(part_file(networks, part))
        if precision == "int8" and part == "encoder":
            model = _linear_int8(model, networks)
        elif precision == "int8-weights":
            model = _nncf().compress_weights(model, mode=_nncf().CompressWeightsMode.INT8_ASYM)
        ov.save_model(model, folder / f"{part}.xml", compress_to_fp16=precision != "fp32")


def _linear_int8(model: Any, networks: Networks) -> Any:
    if not networks.photos:
        raise InputError("int8 for OpenVINO measures ranges on photos: give a folder of some 30 with --photos.")
    nncf = _nncf()
    return nncf.quantize(
        model,
        nncf.Dataset(networks.photos, lambda photo: {"image": photo}),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(networks.photos),
        ignored_scope=nncf.IgnoredScope(types=["Convolution", "GroupConvolution"]),
    )


def _nncf() -> Any:
    return require("nncf", "quantize", "8-bit files for OpenVINO")
