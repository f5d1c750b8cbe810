"""The encoder's linear layers in 8 bits, for processors that multiply those fastest.

Weights get a scale for each output channel, inputs a range for each layer that was measured on photos (their 99.99
percentiles). LayerNorm, softmax, GELU and convolutions stay in float. Masks are closer to fp32's than bf16's are; see
docs/performance.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from openvino import opset13

from ..catalog.models import RANGES
from ..types import F32, AnyArray
from .checkpoint import Checkpoint

AVX512_VNNI = 23
"""OpenCV's number for it (CV_CPU_AVX_512VNNI), which its Python module doesn't name."""
Ranges = Mapping[str, tuple[float, float]]
"""Key of a layer's weight -> the range of its input."""


def measured(checkpoint: Checkpoint) -> Ranges | None:
    """The ranges that were measured for these weights, None where there are none."""
    table = json.loads(RANGES.read_text(encoding="utf-8"))
    return table["ranges"] if table["sha256"] == checkpoint.digest else None


def is_fast_here() -> bool:
    """True where the processor has instructions for products of 8-bit numbers (AVX-512 VNNI)."""
    return bool(cv2.checkHardwareSupport(AVX512_VNNI))


def quantize(model: Any, weights: Mapping[str, AnyArray], ranges: Ranges) -> None:
    """Put the layers of `ranges` into 8 bits; the model's constants are called as their weights."""
    for constant in [op for op in model.get_ops() if op.get_friendly_name() in ranges]:
        name = constant.get_friendly_name()
        for product in list(_products(constant)):
            given = product.input_value(0)
            if given.get_partial_shape().rank.get_length() >= 3:  # else the blank's one vector, made at loading time
                replaced = opset13.matmul(_input(given, *ranges[name]), _weight(weights[name]), False, True)
                product.output(0).replace(replaced.output(0))


def _products(constant: Any) -> Iterator[Any]:
    """Matrix products with the constant, or with it transposed."""
    for target in constant.output(0).get_target_inputs():
        node = target.get_node()
        if node.get_type_name() == "MatMul":
            yield node
        elif node.get_type_name() == "Transpose":
            yield from _products(node)


def _input(given: Any, low: float, high: float) -> Any:
    ends = [opset13.constant(np.float32(end)) for end in (low, high)]
    return opset13.fake_quantize(given, *ends, *ends, 256)


def _weight(weight: F32) -> Any:
    largest = np.abs(weight).max(axis=1, keepdims=True)
    ends = [opset13.constant(end) for end in (-largest, largest)]
    return opset13.fake_quantize(opset13.constant(weight), *ends, *ends, 255)
