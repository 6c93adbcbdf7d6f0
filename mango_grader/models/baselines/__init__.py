"""Hand-made networks to compare with, by name; each is built from an image shape and a number of classes."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from mango_grader.models.baselines.efficientnet_lite import efficientnet_lite0, efficientnet_lite0_front
from mango_grader.models.baselines.msdnet import MSDNetSettings, msdnet_spec
from mango_grader.models.baselines.torchvision import TORCHVISION, torchvision_spec
from mango_grader.models.operations import Shape
from mango_grader.models.spec import NetworkSpec

BASELINES: Mapping[str, Callable[[Shape, int], NetworkSpec]] = MappingProxyType(
    {
        "efficientnet_lite0": efficientnet_lite0,
        "efficientnet_lite0_front": efficientnet_lite0_front,
        "efficientnet_lite0_front_halved": partial(efficientnet_lite0_front, halved=True),
        "msdnet": msdnet_spec,
        "msdnet_cifar": partial(msdnet_spec, settings=MSDNetSettings.cifar()),
        **{name: partial(torchvision_spec, name) for name in TORCHVISION},
    }
)
"""Name → builder of its NetworkSpec; "msdnet" is the compact one."""
PRETRAINED = frozenset({"efficientnet_lite0", "efficientnet_lite0_front", "efficientnet_lite0_front_halved"})
"""Those that ImageNet weights fit."""

__all__ = [
    "BASELINES",
    "PRETRAINED",
    "MSDNetSettings",
    "efficientnet_lite0",
    "efficientnet_lite0_front",
    "msdnet_spec",
    "torchvision_spec",
]
