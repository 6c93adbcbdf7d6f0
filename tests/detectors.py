"""Small detection networks as ONNX graphs: what is yellow and round lies in boxes of one size."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 74
"""Height and width of every box, in pixels of the input."""
STRIDE, REACH, NEAR = 4, 30, 5


def write_detector(
    path: Path, layout: Literal["columns", "rows"], size: tuple[int, int] = (256, 480), fixed: bool = True
) -> Path:
    """Write a network for discs of about 60 pixels.

    layout: of the output, (1, 5, N) of centres or (1, N, 6) of corners. size: of its input, height and width. fixed:
    whether the input says so.
    """
    height, width = size
    away = np.hypot(*np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1])
    weight = np.exp(-((away / 15) ** 2) / 2)
    yellow = np.stack([weight, 0 * weight, -weight])[None] / weight.sum()
    y, x = (each.ravel() for each in np.mgrid[0:height:STRIDE, 0:width:STRIDE].astype(np.float32))
    half = np.full_like(x, SIDE / 2)
    box = (x, y, 2 * half, 2 * half) if layout == "columns" else (x - half, y - half, x + half, y + half)
    arrays = {"yellow": yellow, "box": np.stack(box)[None], "class": np.zeros((1, 1, x.size)), "flat": [1, 1, x.size]}
    nodes = [
        helper.make_node("Conv", ["images", "yellow"], ["map"], strides=[STRIDE] * 2, pads=[REACH] * 4),
        helper.make_node("MaxPool", ["map"], ["highest"], kernel_shape=[2 * NEAR + 1] * 2, pads=[NEAR] * 4),
        helper.make_node("Equal", ["map", "highest"], ["is_peak"]),
        helper.make_node("Cast", ["is_peak"], ["peak"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["map", "peak"], ["peaks"]),
        helper.make_node("Reshape", ["peaks", "flat"], ["score"]),
    ]
    if layout == "columns":
        nodes.append(helper.make_node("Concat", ["box", "score"], ["output"], axis=1))
    else:
        nodes.append(helper.make_node("Concat", ["box", "score", "class"], ["columns"], axis=1))
        nodes.append(helper.make_node("Transpose", ["columns"], ["output"], perm=[0, 2, 1]))
    shape = [1, 3, height, width] if fixed else [1, 3, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(each, np.int64 if name == "flat" else np.float32), name)
            for name, each in arrays.items()
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
