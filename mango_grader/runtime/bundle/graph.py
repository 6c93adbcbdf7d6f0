"""Refuses dangerous ONNX graphs by their bytes, before onnxruntime reads them.

Only the few fields of ONNX's protobuf messages that matter are read; onnxruntime reads and checks the rest.
"""

from collections.abc import Iterator

from mango_grader.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DOMAINS = (b"", b"ai.onnx")
# Field numbers of onnx.proto.
_GRAPH, _TRAINING, _FUNCTIONS = 7, 20, 25  # ModelProto
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # GraphProto
_ATTRIBUTE, _DOMAIN = 5, 7  # NodeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSES = 5, 6, 10, 11, (22, 23)  # AttributeProto
_EXTERNAL, _LOCATION = 13, 14  # TensorProto


def check_graph(data: bytes) -> None:
    """Raise `BundleError` unless a serialised ONNX model is one flat graph that holds all its weights.

    Weights in other files, graphs within graphs (a loop in one may never end), functions, and operations that are not
    ONNX's own are refused. Our exports have none of them.
    """
    try:
        fault = _model_fault(memoryview(data))
    except ValueError as error:
        raise BundleError(f"it is not an ONNX graph: {error}") from error
    if fault:
        raise BundleError(f"its graph is refused: it has {fault}")


def _model_fault(model: memoryview) -> str | None:
    graphs = 0
    for number, value in _fields(model):
        if number in (_TRAINING, _FUNCTIONS):
            return "functions or training steps"
        if number == _GRAPH:
            graphs += 1
            if fault := _graph_fault(_message(value)):
                return fault
    return None if graphs == 1 else f"{graphs} graphs instead of one"


def _graph_fault(graph: memoryview) -> str | None:
    for number, value in _fields(graph):
        if number == _SPARSE:
            return "sparse weights"
        if number == _INITIALIZER and _is_outside(_message(value)):
            return "weights in another file"
        if number == _NODE and (fault := _node_fault(_message(value))):
            return fault
    return None


def _node_fault(node: memoryview) -> str | None:
    for number, value in _fields(node):
        if number == _DOMAIN and bytes(_message(value)) not in _DOMAINS:
            return "operations that are not ONNX's own"
        if number == _ATTRIBUTE and (fault := _attribute_fault(_message(value))):
            return fault
    return None


def _attribute_fault(attribute: memoryview) -> str | None:
    for number, value in _fields(attribute):
        if number in (_SUBGRAPH, _SUBGRAPHS):
            return "a graph within the graph"
        if number in _SPARSES:
            return "sparse weights"
        if number in (_TENSOR, _TENSORS) and _is_outside(_message(value)):
            return "weights in another file"
    return None


def _is_outside(tensor: memoryview) -> bool:
    return any(number == _EXTERNAL or (number == _LOCATION and value != 0) for number, value in _fields(tensor))


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number instead of a message")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield each field's number with its value, an int or the bytes; raise ValueError where they are cut off."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            number, place = _varint(message, place)
            yield key >> 3, number
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of unknown kind {kind}")
        if size > len(message) - place:
            raise ValueError("it is cut off")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is cut off")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")
