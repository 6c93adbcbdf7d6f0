"""Bounds the memory that a graph takes, by the sizes that onnxruntime infers from it without running anything."""

import math
from typing import Any

import onnxruntime

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.graph import with_all_values
from mango_grader.text import one_line

MOST_ACTIVATIONS = 1 << 30
"""Bytes that all values between the operations of one graph may take together for one image."""
_MANY = 1024  # images: what grows with the square of their number shows here
_BYTES = {"tensor(float)": 4, "tensor(uint8)": 1, "tensor(int8)": 1, "tensor(bool)": 1, "tensor(int32)": 4}
_WIDEST = 8


def check_activations(graph: bytes) -> None:
    """Raise `BundleError` unless the values inside a graph have known sizes, together at most `MOST_ACTIVATIONS`.

    A graph whose sizes depend on the pixels is refused: nobody knows what it takes before it runs.

    Args:
        graph: a serialised ONNX model that passed `check_graph`.
    """
    try:
        model, free = with_all_values(graph)
        taken = max(_taken(model, free, images) / images for images in (1, _MANY))
    except UnicodeDecodeError as error:
        raise BundleError("a name in its graph is not UTF-8") from error
    if taken > MOST_ACTIVATIONS:
        raise BundleError(
            f"its graph is refused: it takes {taken / 2**30:.3g} GiB for one image, more than "
            f"{MOST_ACTIVATIONS / 2**30:g} GiB"
        )


def _taken(model: bytes, free: frozenset[str], images: int) -> int:
    """Return the bytes of all values of a model for a number of images."""
    values = _values(model, free, images)
    if not all(_is_known(one) for one in values):
        raise BundleError("its graph is refused: it has values whose size depends on the image")
    return sum(math.prod(one.shape) * _BYTES.get(one.type, _WIDEST) for one in values)


def _values(model: bytes, free: frozenset[str], images: int) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Constants that are computed beforehand may be what is too large.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    for name in free:
        options.add_free_dimension_override_by_name(name, images)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime raises its own types, which share no base but Exception.
        raise BundleError(f"onnxruntime cannot load a graph: {one_line(' '.join(str(error).split()))[:300]}") from error
    return list(session.get_outputs())


def _is_known(value: Any) -> bool:
    return value.type.startswith("tensor(") and all(isinstance(size, int) and size >= 0 for size in value.shape)
