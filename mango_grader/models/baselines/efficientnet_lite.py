"""EfficientNet-Lite0, whole or its front with early exits; both have ImageNet weights (`models.imagenet`)."""

from collections.abc import Sequence

from mango_grader.models.operations import Add, Classifier, Convolution, InvertedResidual, Pool, Shape
from mango_grader.models.spec import IMAGE, NetworkSpec, Node

_STEM, _FIRST = 32, 16
# Channels, kernel, stride of the first, and number of the blocks of each stage; all expand sixfold.
_FRONT = ((24, 3, 2, 2), (40, 5, 2, 2), (80, 3, 2, 3))
_STAGES = (*_FRONT, (112, 5, 1, 3), (192, 5, 2, 4), (320, 3, 1, 1))
_FRONT_HEAD, _HEAD = 96, 1280


def efficientnet_lite0(input_shape: Shape, classes: int) -> NetworkSpec:
    """Return the whole EfficientNet-Lite0: 3.4 M parameters, 385 M multiply-accumulates at 224 × 224 pixels.

    Args:
        input_shape: (3, H, W); it was trained on 224 × 224 pixels.
        classes: number of classes.
    """
    nodes, ends = _body(IMAGE, _STAGES)
    exit_ = Node("exit", Classifier(_STAGES[-1][0], classes, _HEAD), (ends[-1],))
    return NetworkSpec(input_shape, (*nodes, exit_), (exit_.name,))


def efficientnet_lite0_front(input_shape: Shape, classes: int, halved: bool = False) -> NetworkSpec:
    """Return EfficientNet-Lite0 up to its eighth block, with an exit behind each of its first three stages.

    The network of the TensorFlow project's EfficientNet-Lite (EfficientNet, Tan and Le, 2019, without
    squeeze-excitation and swish), cut where its features have 80 channels and a sixteenth of the image's height and
    width. The last exit has a 1×1 convolution of its own. Node names are those of the space `mbconv`. It has 0.26 M
    parameters, and 13.0 M multiply-accumulates at 64 × 64 pixels, four times as many at 128 × 128.

    Args:
        input_shape: (3, H, W).
        classes: number of classes.
        halved: the network first takes means of 2 × 2 pixels, so that it costs a quarter; augmentation and a teacher
            still have the whole image.
    """
    shrunk = [Node("shrunk", Pool(maximum=False, kernel=2, stride=2), (IMAGE,))] if halved else []
    nodes, ends = _body("shrunk" if halved else IMAGE, _FRONT)
    widths = [channels for channels, *_ in _FRONT]
    heads = [*(0 for _ in widths[1:]), _FRONT_HEAD]
    exits = [
        Node(f"exit{number}", Classifier(channels, classes, head), (end,))
        for number, (channels, head, end) in enumerate(zip(widths, heads, ends, strict=True), start=1)
    ]
    return NetworkSpec(input_shape, (*shrunk, *nodes, *exits), tuple(node.name for node in exits))


def _body(image: str, stages: Sequence[tuple[int, int, int, int]]) -> tuple[list[Node], list[str]]:
    """Return stem and blocks, under the names of the space `mbconv`, and the last node of each stage."""
    nodes = [
        Node("stem", Convolution(3, _STEM, kernel=3, stride=2), (image,)),
        Node("first", InvertedResidual(_STEM, _FIRST, 3, 1, 1), ("stem",)),
    ]
    ends: list[str] = []
    before, previous, number = _FIRST, "first", 0
    for channels, kernel, stride, blocks in stages:
        for place in range(blocks):
            number += 1
            name = f"block{number}"
            block = InvertedResidual(before, channels, kernel, 1 if place else stride)
            if place:
                nodes.append(Node(f"{name}/residual", block, (previous,)))
                nodes.append(Node(name, Add(activate=False), (previous, f"{name}/residual")))
            else:
                nodes.append(Node(name, block, (previous,)))
            before, previous = channels, name
        ends.append(previous)
    return nodes, ends
