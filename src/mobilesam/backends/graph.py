"""Put a state dict into a weight-free ONNX graph, without the onnx package.

A serialised protobuf message may be followed by another of its type, and a parser merges the two:
repeated fields are joined. So a complete model is the graph file, followed by a model that holds
nothing but the weights as initialisers. Field numbers are those of onnx.proto3, which are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..types import AnyArray

_FLOAT = 1  # TensorProto.DataType.FLOAT
_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_NODE_INPUT = 1
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9


def complete(graph: bytes, state: Mapping[str, AnyArray]) -> bytes:
    """The bytes of an ONNX model: `graph` with those tensors of `state` that it names, as float32."""
    used = [name for name in state if _field(_NODE_INPUT, name.encode()) in graph]
    tensors = b"".join(_field(_GRAPH_INITIALIZER, _tensor(name, state[name])) for name in used)
    return graph + _field(_MODEL_GRAPH, tensors)


def _tensor(name: str, value: AnyArray) -> bytes:
    dims = b"".join(_varint(_TENSOR_DIMS << 3) + _varint(size) for size in value.shape)
    kind = _varint(_TENSOR_TYPE << 3) + _varint(_FLOAT)
    raw = np.ascontiguousarray(value, "<f4").tobytes()
    return dims + kind + _field(_TENSOR_NAME, name.encode()) + _field(_TENSOR_RAW, raw)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field (wire type 2)."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
