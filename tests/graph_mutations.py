"""What may be done to an ONNX graph that onnx itself can still write: one function a kind of change."""

import itertools
import random
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EXTREMES = [0, -1, 1, 3, 2**20, 2**31 - 1, 2**31, 2**62, -(2**63)]
OPERATIONS = [
    "Conv", "Reshape", "Resize", "Expand", "Tile", "Pad", "Gather", "Slice", "Concat", "NonZero", "TopK", "Mystery",
]  # fmt: skip


def _attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    found = [one for node in model.graph.node for one in node.attribute if one.ints or one.HasField("i")]
    if not found:
        return _operation(model, rng)
    one = rng.choice(found)
    if one.ints:
        one.ints[rng.randrange(len(one.ints))] = rng.choice(EXTREMES)
    else:
        one.i = rng.choice(EXTREMES)
    return None


def _operation(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(OPERATIONS)


def _wires(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice([one for one in model.graph.node if one.input])
    names = [name for one in model.graph.node for name in (*one.input, *one.output)]
    node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere", "\x1b[31m", "x" * 9999])


def _ports(model: onnx.ModelProto, rng: random.Random) -> None:
    port = rng.choice([*model.graph.input, *model.graph.output])
    tensor = port.type.tensor_type
    how = rng.choice(["name", "kind", "size", "rank", "none", "sequence"])
    if how == "name":
        port.name = rng.choice(["photos", "", "logits", "\u202e", "\x1b[2J"])
    elif how == "kind":
        tensor.elem_type = rng.choice([0, 1, 2, 7, 8, 11, 16, 99])
    elif how == "size" and tensor.shape.dim:
        rng.choice(tensor.shape.dim).dim_value = rng.choice(EXTREMES)
    elif how == "rank":
        tensor.shape.dim.add().dim_value = 1
    elif how == "sequence":
        port.type.sequence_type.elem_type.tensor_type.elem_type = 1
    else:
        port.ClearField("type")


def _weights(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    how = rng.choice(["sizes", "kind", "short", "values", "external", "name"])
    if how == "sizes" and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(EXTREMES)
    elif how == "kind":
        tensor.data_type = rng.choice([0, 1, 2, 7, 8, 10, 11, 99])
    elif how == "short":
        tensor.raw_data = tensor.raw_data[:-1]
    elif how == "values":
        size = len(tensor.raw_data) // 4
        tensor.raw_data = np.full(size, rng.choice([np.nan, np.inf, 3e38, 0]), np.float32).tobytes()
    elif how == "external":
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", rng.choice(["/etc/passwd", "../x", "weights.bin"])
    else:
        tensor.name = rng.choice(["", "images", "logits"])


def _inside(model: onnx.ModelProto, rng: random.Random) -> None:
    port = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"])],
        "body",
        [port("turn", TensorProto.INT64, []), port("go", TensorProto.BOOL, [])],
        [port("still", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(helper.make_tensor("for_ever", TensorProto.INT64, [], [2**62]))
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("Loop", ["for_ever", "yes"], [], body=body))


def _nodes(model: onnx.ModelProto, rng: random.Random) -> None:
    nodes = list(model.graph.node)
    how = rng.choice(["drop", "twice", "turned", "none", "domain"])
    if how == "drop":
        del model.graph.node[rng.randrange(len(nodes))]
    elif how == "twice":
        model.graph.node.append(rng.choice(nodes))
    elif how == "domain":
        rng.choice(model.graph.node).domain = rng.choice(["com.microsoft", "com.example", "ai.onnx.ml"])
    else:
        model.graph.ClearField("node")
        model.graph.node.extend(reversed(nodes) if how == "turned" else [])


def _versions(model: onnx.ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.5:
        model.ir_version = rng.choice([0, 1, 99, 2**40])
    else:
        model.opset_import[0].version = rng.choice([0, 1, 7, 99, 2**40])


def _large(model: onnx.ModelProto, rng: random.Random) -> None:
    """Let the logits pass through something that may be large, or whose size depends on them."""
    nodes, tensors = model.graph.node, model.graph.initializer
    logits = rng.choice([one.name for one in model.graph.output])
    for node in nodes:
        node.output[:] = ["before" if name == logits else name for name in node.output]
        node.input[:] = ["before" if name == logits else name for name in node.input]
    size = rng.choice([1, 2, 1 << 10, 1 << 20, 1 << 28, 1 << 40])
    times = numpy_helper.from_array(np.array([1, size], np.int64), "times")
    count = helper.make_tensor("count", TensorProto.INT64, [1], [size])
    how = rng.choice(["tile", "fill", "by value", "long"])
    if how == "tile":
        tensors.append(times)
        nodes.append(helper.make_node("Tile", ["before", "times"], ["large"]))
    elif how == "fill":
        tensors.append(count)
        nodes.append(helper.make_node("ConstantOfShape", ["count"], ["large"]))
    elif how == "by value":
        tensors.extend([count, helper.make_tensor("flat", TensorProto.INT64, [1], [-1])])
        nodes.append(helper.make_node("Cast", ["before"], ["whole"], to=TensorProto.INT64))
        nodes.append(helper.make_node("Reshape", ["whole", "flat"], ["list"]))
        nodes.append(helper.make_node("ConstantOfShape", ["list"], ["large"]))
    else:
        names = ["before", *(f"step{number}" for number in range(rng.choice([3, 300, 12_000]))), "large"]
        nodes.extend(helper.make_node("Relu", [one], [other]) for one, other in itertools.pairwise(names))
    nodes.append(helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=0))
    nodes.append(helper.make_node("Add", ["before", "mean"], [logits]))


GRAPH_CHANGES: dict[str, Callable[[onnx.ModelProto, random.Random], None]] = {
    "attribute": _attribute, "operation": _operation, "wires": _wires, "ports": _ports, "weights": _weights,
    "loop": _inside, "nodes": _nodes, "versions": _versions, "large": _large,
}  # fmt: skip
