"""From an operation to its torch module. Super nets and plain networks are made of these same classes."""

from collections.abc import Sequence
from functools import singledispatch

from torch import Tensor, nn

from mango_grader.models.operations import Operation


@singledispatch
def build_operation(op: Operation) -> nn.Module:
    """Return the module of `op`, freshly initialised by torch's defaults."""
    raise TypeError(f"no module for operation {op!r}")


def call(module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Run one operation's module on its inputs."""
    output: Tensor = module(*inputs)
    return output
