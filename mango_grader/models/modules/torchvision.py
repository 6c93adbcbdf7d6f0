"""The module of `operations.torchvision`."""

from torch import nn

from mango_grader.models.modules.base import build_operation
from mango_grader.models.operations import Torchvision


@build_operation.register
def _(op: Torchvision) -> nn.Module:
    # Imported here: torchvision takes a second to load, and only baselines need it.
    from mango_grader.models.baselines.torchvision import build_torchvision

    return build_torchvision(op.name, op.classes)
