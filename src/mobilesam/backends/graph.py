"""Give a weight-free ONNX graph its weights, without the onnx package and without a copy.

A serialised protobuf message may be followed by another of its type, and a parser merges the two: repeated
fields are joined. So a model is the graph file, followed by a model that only declares the weights, and the
runtime takes the arrays as they lie in memory. (With the weights inside, a ViT-H would be larger than the two
gigabytes that protobuf allows.) Field numbers are those of onnx.proto3, which are frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..types import AnyArray

_FLOAT = 1  # TensorProto.DataType.FLOAT
_EXTERNAL = 1  # TensorProto.DataLocation.EXTERNAL
_MODEL_GRAPH, _GRAPH_INITIALIZER, _GRAPH_INPUT = 7, 5, 11
_NODE_INPUT = 1
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 13, 14
_INFO_NAME, _INFO_TYPE, _TYPE_TENSOR, _TYPE_ELEMENT, _TYPE_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 2, 1, 1, 2, 1, 1


def named_in(graph: bytes, names: Iterable[str]) -> list[str]:
    """Those of the state-dict keys that the graph reads."""
    return [name for name in names if _field(_NODE_INPUT, name.encode()) in graph]


def with_initializers(graph: bytes, weights: Mapping[str, AnyArray]) -> bytes:
    """The model with its weights declared as external: ONNX Runtime's `add_external_initializers` brings them."""
    return _joined(graph, _GRAPH_INITIALIZER, (_tensor(name, value) for name, value in weights.items()))


def with_inputs(graph: bytes, weights: Mapping[str, AnyArray]) -> bytes:
    """The model with its weights declared as inputs, to be replaced by constants."""
    return _joined(graph, _GRAPH_INPUT, (_input(name, value) for name, value in weights.items()))


def _joined(graph: bytes, field: int, messages: Iterable[bytes]) -> bytes:
    return graph + _field(_MODEL_GRAPH, b"".join(_field(field, message) for message in messages))


def _tensor(name: str, value: AnyArray) -> bytes:
    dims = b"".join(_number(_TENSOR_DIMS, size) for size in value.shape)
    place = {"location": "memory", "offset": "0", "length": str(value.size * 4)}
    entries = b"".join(
        _field(_TENSOR_EXTERNAL, _field(1, key.encode()) + _field(2, text.encode())) for key, text in place.items()
    )
    kind, location = _number(_TENSOR_TYPE, _FLOAT), _number(_TENSOR_LOCATION, _EXTERNAL)
    return dims + kind + _field(_TENSOR_NAME, name.encode()) + entries + location


def _input(name: str, value: AnyArray) -> bytes:
    dims = b"".join(_field(_SHAPE_DIM, _number(_DIM_VALUE, size)) for size in value.shape)
    tensor = _number(_TYPE_ELEMENT, _FLOAT) + _field(_TYPE_SHAPE, dims)
    return _field(_INFO_NAME, name.encode()) + _field(_INFO_TYPE, _field(_TYPE_TENSOR, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


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
