"""Operations as torch modules. Super nets and plain networks are made of these same classes."""

from collections.abc import Sequence
from functools import singledispatch

import torch
from torch import Tensor, nn

from mango_grader.models import operations as spec


class Convolution(nn.Sequential):
    """Convolution, BatchNorm, optional ReLU: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, op: spec.Convolution) -> None:
        padding = op.dilation * (op.kernel - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(
                op.in_channels,
                op.out_channels,
                op.kernel,
                op.stride,
                padding,
                op.dilation,
                op.groups,
                bias=False,
            ),
            nn.BatchNorm2d(op.out_channels),
        ]
        super().__init__(*layers, *([nn.ReLU()] if op.activate else []))


class SeparableConvolution(nn.Sequential):
    """Depthwise, then pointwise: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, op: spec.SeparableConvolution) -> None:
        super().__init__(*(Convolution(part) for part in op.parts()))


class Match(nn.Sequential):
    """Average pooling and 1×1 convolution: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, op: spec.Match) -> None:
        # ceil_mode keeps ⌈H/s⌉, the size that the strided convolutions beside it make of odd inputs.
        pool = [nn.AvgPool2d(op.stride, ceil_mode=True, count_include_pad=False)] if op.stride > 1 else []
        conv = spec.Convolution(op.in_channels, op.out_channels, activate=False)
        super().__init__(*pool, Convolution(conv))


class Add(nn.Module):
    """Sum of any number of (N, C, H, W), then optional ReLU."""

    def __init__(self, op: spec.Add) -> None:
        super().__init__()
        self.activate = op.activate

    def forward(self, *inputs: Tensor) -> Tensor:
        """Add the inputs in their given order."""
        total = inputs[0]
        for value in inputs[1:]:
            total = total + value
        return torch.relu(total) if self.activate else total


class Concat(nn.Module):
    """Channels side by side: (N, Cᵢ, H, W)… → (N, ΣCᵢ, H, W)."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Concatenate along channels."""
        return torch.cat(inputs, 1)


class Classifier(nn.Module):
    """(N, C, H, W) → (N, classes) logits."""

    def __init__(self, op: spec.Classifier) -> None:
        super().__init__()
        widen = Convolution(spec.Convolution(op.in_channels, op.hidden)) if op.hidden else nn.Identity()
        self.widen = widen
        self.dropout = nn.Dropout(op.dropout)
        self.linear = nn.Linear(op.hidden or op.in_channels, op.classes)

    def forward(self, features: Tensor) -> Tensor:
        """Average over positions and classify."""
        pooled: Tensor = self.widen(features).mean((2, 3))
        logits: Tensor = self.linear(self.dropout(pooled))
        return logits


@singledispatch
def build_operation(op: spec.Operation) -> nn.Module:
    """Return the module of `op`, freshly initialised by torch's defaults."""
    raise TypeError(f"no module for operation {op!r}")


build_operation.register(spec.Convolution, Convolution)
build_operation.register(spec.SeparableConvolution, SeparableConvolution)
build_operation.register(spec.Match, Match)
build_operation.register(spec.Add, Add)
build_operation.register(spec.Classifier, Classifier)


@build_operation.register
def _(op: spec.Identity) -> nn.Module:
    return nn.Identity()


@build_operation.register
def _(op: spec.Concat) -> nn.Module:
    return Concat()


@build_operation.register
def _(op: spec.Pool) -> nn.Module:
    padding = (op.kernel - 1) // 2
    if op.maximum:
        return nn.MaxPool2d(op.kernel, op.stride, padding)
    return nn.AvgPool2d(op.kernel, op.stride, padding, count_include_pad=False)


@build_operation.register
def _(op: spec.Torchvision) -> nn.Module:
    # Imported here: torchvision takes a second to load, and only baselines need it.
    from mango_grader.models.baselines.torchvision import build_torchvision

    return build_torchvision(op.name, op.classes)


def call(module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Run one operation's module on its inputs."""
    output: Tensor = module(*inputs)
    return output
