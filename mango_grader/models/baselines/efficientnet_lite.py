"""The front of EfficientNet-Lite0 with early exits: small, with ImageNet weights (`models.imagenet`)."""

from mango_grader.models.operations import Add, Classifier, Convolution, InvertedResidual, Pool, Shape
from mango_grader.models.spec import IMAGE, NetworkSpec, Node

_STEM, _FIRST = 32, 16
# Channels, kernel, stride of the first, and number of the blocks of each stage; all expand sixfold.
_STAGES = ((24, 3, 2, 2), (40, 5, 2, 2), (80, 3, 2, 3))
_HEAD = 96


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
    nodes = [
        *shrunk,
        Node("stem", Convolution(3, _STEM, kernel=3, stride=2), ("shrunk" if halved else IMAGE,)),
        Node("first", InvertedResidual(_STEM, _FIRST, 3, 1, 1), ("stem",)),
    ]
    exits, before, previous, number = [], _FIRST, "first", 0
    for stage, (channels, kernel, stride, blocks) in enumerate(_STAGES, start=1):
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
        hidden = _HEAD if stage == len(_STAGES) else 0
        exits.append(Node(f"exit{stage}", Classifier(before, classes, hidden), (previous,)))
    return NetworkSpec(input_shape, (*nodes, *exits), tuple(node.name for node in exits))
