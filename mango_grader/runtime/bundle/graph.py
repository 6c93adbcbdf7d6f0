"""Refuses dangerous ONNX graphs by their bytes, before onnxruntime reads them.

Only the few fields of ONNX's protobuf messages that matter are read; onnxruntime reads and checks the rest.
"""

import math
from collections.abc import Iterator

import numpy as np

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.protobuf import encode, fields

_DOMAINS = (b"", b"ai.onnx")
_MOST_NODES = 10_000
# Field numbers of onnx.proto.
_GRAPH, _TRAINING, _FUNCTIONS = 7, 20, 25  # ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUES, _SPARSE = 1, 5, 11, 12, 13, 15  # GraphProto
_OUTPUTS, _ATTRIBUTE, _DOMAIN = 2, 5, 7  # NodeProto
_FLOAT, _TENSOR, _SUBGRAPH, _FLOATS, _TENSORS, _SUBGRAPHS, _SPARSES = 2, 5, 6, 7, 10, 11, (22, 23)  # AttributeProto
_DIMS, _TYPE, _FLOAT_DATA, _RAW, _DOUBLE_DATA, _EXTERNAL, _LOCATION = 1, 2, 4, 9, 10, 13, 14  # TensorProto
_NAME, _PORT_TYPE, _TENSOR_TYPE, _SHAPE, _DIM, _DIM_NAME = 1, 2, 1, 2, 1, 2  # ValueInfoProto and inside it
_FLOATING = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType
_WHOLE = (2, 3, 4, 5, 6, 7, 9, 12, 13)


def check_graph(data: bytes) -> None:
    """Raise `BundleError` unless a serialised ONNX model is one flat graph that holds all its weights.

    Weights in other files, weights that are not finite or not all there, graphs within graphs (a loop in one may never
    end), functions, operations that are not ONNX's own, and more than 10,000 operations are refused. Our exports have
    none of them.
    """
    try:
        fault = _model_fault(memoryview(data))
    except ValueError as error:
        raise BundleError(f"it is not an ONNX graph: {error}") from error
    if fault:
        raise BundleError(f"its graph is refused: it has {fault}")


def with_all_values(data: bytes) -> tuple[bytes, frozenset[str]]:
    """Return a model that passed `check_graph` with every value as an output and no size declared but of its inputs.

    Args:
        data: serialised ONNX model.

    Returns:
        The serialised model, and the names that its inputs have for their free sizes.

    Raises:
        ValueError: if it is cut off, or if such a name is not UTF-8.
    """
    model, names = bytearray(), set()
    for outer in fields(memoryview(data)):
        if outer.number != _GRAPH:
            model += outer.encoded
            continue
        graph = bytearray()
        for inner in fields(outer.message):
            if inner.number not in (_OUTPUT, _VALUES):
                graph += inner.encoded
            if inner.number == _INPUT:
                names |= {bytes(name).decode() for name in _free_sizes(inner.message)}
            elif inner.number == _NODE:
                outputs = [one.message for one in fields(inner.message) if one.number == _OUTPUTS]
                for name in filter(len, outputs):
                    graph += encode(_OUTPUT, encode(_NAME, bytes(name)))
        model += encode(_GRAPH, bytes(graph))
    return bytes(model), frozenset(names)


def _free_sizes(port: memoryview) -> Iterator[memoryview]:
    found = [port]
    for number in (_PORT_TYPE, _TENSOR_TYPE, _SHAPE, _DIM, _DIM_NAME):
        found = [one.message for message in found for one in fields(message) if one.number == number]
    yield from found


def _model_fault(model: memoryview) -> str | None:
    graphs = 0
    for one in fields(model):
        if one.number in (_TRAINING, _FUNCTIONS):
            return "functions or training steps"
        if one.number == _GRAPH:
            graphs += 1
            if fault := _graph_fault(one.message):
                return fault
    return None if graphs == 1 else f"{graphs} graphs instead of one"


def _graph_fault(graph: memoryview) -> str | None:
    nodes = 0
    for one in fields(graph):
        if one.number == _SPARSE:
            return "sparse weights"
        if one.number == _INITIALIZER and (fault := _tensor_fault(one.message)):
            return fault
        if one.number == _NODE:
            nodes += 1
            if fault := _node_fault(one.message):
                return fault
    return None if nodes <= _MOST_NODES else f"{nodes} operations, more than {_MOST_NODES}"


def _node_fault(node: memoryview) -> str | None:
    for one in fields(node):
        if one.number == _DOMAIN and bytes(one.message) not in _DOMAINS:
            return "operations that are not ONNX's own"
        if one.number == _ATTRIBUTE and (fault := _attribute_fault(one.message)):
            return fault
    return None


def _attribute_fault(attribute: memoryview) -> str | None:
    for one in fields(attribute):
        if one.number in (_SUBGRAPH, _SUBGRAPHS):
            return "a graph within the graph"
        if one.number in _SPARSES:
            return "sparse weights"
        if one.number in (_TENSOR, _TENSORS) and (fault := _tensor_fault(one.message)):
            return fault
        if one.number in (_FLOAT, _FLOATS) and not _finite(one.message, "<f4"):
            return "a setting that is not finite"
    return None


def _tensor_fault(tensor: memoryview) -> str | None:
    """Return what is wrong with weights: elsewhere, of a strange kind, fewer than declared, or not finite."""
    count, kind, numbers = 1, 0, []
    for one in fields(tensor):
        if one.number == _EXTERNAL or (one.number == _LOCATION and one.value != 0):
            return "weights in another file"
        if one.number == _DIMS:
            count *= math.prod(one.numbers)
        elif one.number == _TYPE:
            (kind,) = one.numbers
        elif one.number in (_FLOAT_DATA, _RAW, _DOUBLE_DATA):
            numbers.append((one.number, one.message))
    if kind not in _FLOATING and kind not in _WHOLE:
        return f"weights of the unknown kind {kind}"
    if count > len(tensor):
        return "weights that declare more values than they hold"
    stored = {_FLOAT_DATA: "<f4", _DOUBLE_DATA: "<f8", _RAW: _FLOATING.get(kind)}
    if not all(_finite(values, dtype) for number, values in numbers if (dtype := stored[number])):
        return "weights that are not finite"
    return None


def _finite(values: memoryview, dtype: str) -> bool:
    return bool(np.isfinite(np.frombuffer(values, dtype)).all())
