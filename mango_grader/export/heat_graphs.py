"""Class maps as ONNX graphs: an exit's classifier applied at every position, before the mean that the exit takes.

An exit takes the mean of its features over positions; linear layers follow. A linear layer of a mean is the mean of the
linear layer, so that applied at each position it gives one map per class, whose mean is the exit's logit (class
activation maps: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, §2). Where an
activation lies between two linear layers, as in MobileNetV3, its gain at the mean, output over input, is used at every
position, so that the same equality holds (the rescale rule of DeepLIFT with 0 as reference: Shrikumar et al., "Learning
Important Features Through Propagating Activation Differences", ICML 2017, §3.5.2).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.helper import get_node_attr_value, make_graph, make_node, make_value_info
from onnx.numpy_helper import from_array, to_array

from mango_grader.export.serialise import serialise

MAPS = "maps"

_SHAPES_ONLY = {"Reshape", "Flatten", "Squeeze", "Gather", "Identity"}  # between the mean and the layers behind it
_POSITIONS = ([2, 3], [-2, -1])


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer behind the mean.

    Attributes:
        weight: (out, in).
        bias: (out,).
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Activation:
    """An activation behind the mean.

    Attributes:
        kind: name of the ONNX operation, one of `_GAINS`.
    """

    kind: str


@dataclass(frozen=True, eq=False)
class Head:
    """What an exit does from its mean over positions on.

    Attributes:
        features: name of the tensor (N, C, h, w) that the exit takes the mean of.
        type: its declared type.
        layers: in their order, a linear one last.
    """

    features: str
    type: onnx.TypeProto
    layers: tuple[Linear | Activation, ...]


def find_head(whole: onnx.ModelProto, logits: str) -> Head | None:
    """Return the head of one exit; None where it is not a mean over positions with linear layers behind it.

    So it is in AlexNet and VGG, whose linear layers have weights of their own for every position.

    Args:
        whole: graph that computes the exit.
        logits: name of the exit's output.
    """
    makers = {name: node for node in whole.graph.node for name in node.output}
    types = {value.name: value.type for value in (*whole.graph.value_info, *whole.graph.output)}
    constants = {value.name: value for value in whole.graph.initializer}
    layers: list[Linear | Activation] = []
    name = logits
    while (node := makers.get(name)) is not None:
        name = node.input[0]
        if node.op_type == "Gemm":
            layers.insert(0, _linear(node, constants))
        elif node.op_type in _GAINS and layers:
            layers.insert(0, Activation(node.op_type))
        elif node.op_type not in _SHAPES_ONLY:
            found = bool(layers) and name in types and _is_mean_over_positions(node, types[name], constants)
            return Head(name, types[name], tuple(layers)) if found else None
    return None


def heat_graph(whole: onnx.ModelProto, head: Head, features: str) -> bytes:
    """Return the graph from an exit's features (N, C, h, w) to "maps" (N, classes, h, w), whose mean is its logits.

    Args:
        whole: graph that the head was found in.
        head: of the exit.
        features: name of the graph's input.
    """
    last = len(head.layers) - 1
    gains = [number for number, layer in enumerate(head.layers) if isinstance(layer, Activation)]
    nodes, constants = list[onnx.NodeProto](), list[onnx.TensorProto]()
    if gains:
        constants.append(from_array(np.array([2, 3]), "positions"))
        nodes.append(make_node("ReduceMean", [features, "positions"], ["mean0"], keepdims=1))
    maps = features
    for number, layer in enumerate(head.layers):
        mean, to = f"mean{number}", MAPS if number == last else f"maps{number}"
        if isinstance(layer, Linear):
            names = [f"weight{number}", f"bias{number}"]
            constants += map(from_array, (layer.weight[:, :, None, None], layer.bias), names)
            step, operands = "Conv", names
        else:
            nodes += _GAINS[layer.kind](mean, f"gain{number}")
            step, operands = "Mul", [f"gain{number}"]
        nodes.append(make_node(step, [maps, *operands], [to]))
        if gains and number < gains[-1]:
            nodes.append(make_node(step, [mean, *operands], [f"mean{number + 1}"]))
        maps = to
    ends = make_value_info(features, head.type), make_value_info(MAPS, _with_channels(head.type, _classes(head)))
    return serialise(make_graph(nodes, "mango-grader", ends[:1], ends[1:], constants), whole)


def _linear(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> Linear:
    weight = to_array(constants[node.input[1]])
    if not _attribute(node, "transB", 0):
        weight = weight.T
    bias = to_array(constants[node.input[2]]) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    return Linear(np.ascontiguousarray(weight, np.float32), np.asarray(bias, np.float32))


def _is_mean_over_positions(
    node: onnx.NodeProto, taken: onnx.TypeProto, constants: Mapping[str, onnx.TensorProto]
) -> bool:
    if len(taken.tensor_type.shape.dim) != 4:
        return False
    if node.op_type == "GlobalAveragePool":
        return True
    axes = constants.get(node.input[1]) if node.op_type == "ReduceMean" and len(node.input) > 1 else None
    return axes is not None and sorted(to_array(axes).tolist()) in _POSITIONS


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return int(next((get_node_attr_value(node, name) for one in node.attribute if one.name == name), default))


def _classes(head: Head) -> int:
    return next(len(layer.bias) for layer in reversed(head.layers) if isinstance(layer, Linear))


def _with_channels(taken: onnx.TypeProto, channels: int) -> onnx.TypeProto:
    given = onnx.TypeProto()
    given.CopyFrom(taken)
    given.tensor_type.shape.dim[1].dim_value = channels
    return given


def _relu_gain(mean: str, gain: str) -> list[onnx.NodeProto]:
    """1 where the mean is positive, else 0: the sign, cut off below 0."""
    return [make_node("Sign", [mean], [f"{gain}_sign"]), make_node("Relu", [f"{gain}_sign"], [gain])]


def _hard_swish_gain(mean: str, gain: str) -> list[onnx.NodeProto]:
    """HardSwish(x) is x · HardSigmoid(x)."""
    return [make_node("HardSigmoid", [mean], [gain], alpha=1 / 6, beta=0.5)]


_GAINS: Mapping[str, Callable[[str, str], list[onnx.NodeProto]]] = {"Relu": _relu_gain, "HardSwish": _hard_swish_gain}
