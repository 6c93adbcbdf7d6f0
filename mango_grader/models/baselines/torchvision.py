"""torchvision's classifiers, untrained, as one-node networks: trainer, export and report treat them like any other."""

from typing import TYPE_CHECKING

from mango_grader.errors import UsageError
from mango_grader.models.operations import Shape, Torchvision
from mango_grader.models.spec import IMAGE, NetworkSpec, Node

if TYPE_CHECKING:
    from torch import nn

TORCHVISION = (
    *("alexnet", "vgg16", "resnet18", "resnext50_32x4d", "densenet121"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mobilenet_v3_small", "mobilenet_v3_large"),
)
"""The models' names, which are torchvision's own."""

_OF_SEVERAL_OUTPUTS = {"googlenet", "inception_v3"}


def torchvision_spec(name: str, input_shape: Shape, classes: int) -> NetworkSpec:
    """Return the network of a torchvision baseline: one node, one exit.

    Args:
        name: one of `TORCHVISION`.
        input_shape: (3, H, W).
        classes: number of classes.

    Raises:
        UsageError: for another name, and for images too small, naming the smallest size.
    """
    if name not in TORCHVISION:
        raise UsageError(f"no baseline {name!r}; torchvision's are: {', '.join(TORCHVISION)}")
    return classifier_spec(name, input_shape, classes)


def classifier_spec(name: str, input_shape: Shape, classes: int) -> NetworkSpec:
    """Return the network of any torchvision classifier: one node, one exit.

    Args:
        name: torchvision's name of the model.
        input_shape: (3, H, W).
        classes: number of classes.

    Raises:
        UsageError: for a name that torchvision does not know, and for images too small, naming the smallest size.
    """
    from torch import device
    from torchvision import models

    known = set(models.list_models(module=models)) - _OF_SEVERAL_OUTPUTS
    if name not in known:
        raise UsageError(f"no such run, file or torchvision classifier; for example {', '.join(TORCHVISION[-2:])}")
    channels, height, width = input_shape
    if channels != 3:
        raise UsageError(f"{name} takes 3 channels, got {channels}")
    with device("meta"):  # shapes alone: nothing is allocated or computed
        network = build_torchvision(name, classes).eval()
    macs = _count_macs(network, height, width)
    if macs is None:
        sides = (side for side in range(1, 225) if _count_macs(network, side, side) is not None)
        smallest = next(sides, "other than 224")
        raise UsageError(f"{name} needs images of at least {smallest}×{smallest} pixels, got {height}×{width}")
    params = sum(parameter.numel() for parameter in network.parameters())
    op = Torchvision(name, classes, height, width, macs, params)
    return NetworkSpec(input_shape, (Node(name, op, (IMAGE,)),), (name,))


def build_torchvision(name: str, classes: int) -> "nn.Module":
    """Return a torchvision model, freshly initialised; no weights are fetched.

    Args:
        name: torchvision's name of the model.
        classes: number of classes.
    """
    from torchvision import models  # a second to load, for baselines alone

    network: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return network


def _count_macs(network: "nn.Module", height: int, width: int) -> int | None:
    """Return the multiply-accumulates for one image; None where a window is larger than what it slides over."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.empty(1, 3, height, width, device="meta")
    try:
        with FlopCounterMode(display=False) as counter:
            network(image)
    except (RuntimeError, AssertionError):
        return None
    return int(counter.get_total_flops()) // 2
