"""Operations as torch modules: plain networks and super nets are made of these same classes."""

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mango_grader.models import operations as spec

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu6": nn.ReLU6, "swish": nn.SiLU}


@singledispatch
def build_operation(op: spec.Operation) -> nn.Module:
    """Return the module of `op`, freshly initialised by torch's defaults."""
    raise TypeError(f"no module for operation {op!r}")


def call(module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Run one operation's module on its inputs.

    Args:
        module: of an operation.
        inputs: outputs of other nodes, (N, C, H, W).
    """
    output: Tensor = module(*inputs)
    return output


class Convolution(nn.Sequential):
    """Convolution with its BatchNorm and ReLUs: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉).

    Args:
        op: sizes, and which of the parts there are.
    """

    def __init__(self, op: spec.Convolution) -> None:
        padding = op.dilation * (op.kernel - 1) // 2
        convolution = nn.Conv2d(
            op.in_channels, op.out_channels, op.kernel, op.stride, padding, op.dilation, op.groups, bias=False
        )
        before = [nn.ReLU()] if op.preactivate else []
        norm = [nn.BatchNorm2d(op.out_channels)] if op.norm else []
        super().__init__(*before, convolution, *norm, *([nn.ReLU()] if op.activate else []))


class SeparableConvolution(nn.Sequential):
    """Depthwise, then pointwise convolution: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉).

    Args:
        op: sizes.
    """

    def __init__(self, op: spec.SeparableConvolution) -> None:
        super().__init__(*(Convolution(part) for part in op.parts()))


class Match(nn.Sequential):
    """Average pooling and 1×1 convolution: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉).

    Args:
        op: sizes.
    """

    def __init__(self, op: spec.Match) -> None:
        # ceil_mode keeps ⌈H/s⌉, the size that the strided convolutions beside it make of odd inputs.
        pool = [nn.AvgPool2d(op.stride, ceil_mode=True, count_include_pad=False)] if op.stride > 1 else []
        conv = spec.Convolution(op.in_channels, op.out_channels, activate=False)
        super().__init__(*pool, Convolution(conv))


class Add(nn.Module):
    """Sum of any number of (N, C, H, W), then optional ReLU.

    Args:
        op: whether there is a ReLU.
    """

    def __init__(self, op: spec.Add) -> None:
        super().__init__()
        self.activate = op.activate

    def forward(self, *inputs: Tensor) -> Tensor:
        """Add the inputs in their given order."""
        total = inputs[0]
        for value in inputs[1:]:
            total = total + value
        return torch.relu(total) if self.activate else total


class Zero(nn.Module):
    """(N, C, H, W) → zeros alike, whatever the input holds."""

    def forward(self, features: Tensor) -> Tensor:
        """Make zeros of the input's shape."""
        return torch.zeros_like(features)


class DropPath(nn.Module):
    """(N, C, H, W) → the same; in training, the features of some images become 0 and the others are scaled up.

    The trainer raises `progress` from 0 to 1; the probability is `rate · progress`. Source: Larsson et al. (2017);
    DARTS, appendix A.1.

    Args:
        op: the rate.

    Attributes:
        rate: highest probability, from 0 to below 1.
        progress: how far training has come, 0..1.
    """

    def __init__(self, op: spec.DropPath) -> None:
        super().__init__()
        self.rate = op.rate
        self.progress = 0.0

    def forward(self, features: Tensor) -> Tensor:
        """Drop or scale each image."""
        kept = 1.0 - self.rate * self.progress
        if not self.training or kept == 1.0:
            return features
        mask = torch.empty(len(features), 1, 1, 1, dtype=features.dtype, device=features.device)
        return features * mask.bernoulli_(kept) / kept


class Concat(nn.Module):
    """Channels side by side: (N, Cᵢ, H, W)… → (N, ΣCᵢ, H, W)."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Concatenate along channels."""
        return torch.cat(inputs, 1)


class Classifier(nn.Module):
    """(N, C, H, W) → (N, classes) logits.

    Args:
        op: sizes, and the dropout.
    """

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


class ScaleGradient(nn.Module):
    """(N, C, H, W) → the same; `factor` of its gradient comes back.

    Args:
        op: the factor.
    """

    def __init__(self, op: spec.ScaleGradient) -> None:
        super().__init__()
        self.factor = op.factor

    def forward(self, features: Tensor) -> Tensor:
        """Keep the value and scale the gradient."""
        return torch.lerp(features.detach(), features, self.factor) if self.training else features


class CellConvolution(nn.Sequential):
    """A chain of preactivated separable convolutions: (N, C, H, W) → (N, C, ⌈H/s⌉, ⌈W/s⌉).

    Args:
        op: sizes.
    """

    def __init__(self, op: spec.CellConvolution) -> None:
        super().__init__(*(Convolution(part) for part in op.parts()))


class FactorisedReduction(nn.Module):
    """Two strided 1×1 convolutions side by side: (N, in, H, W) → (N, out, ⌈H/2⌉, ⌈W/2⌉).

    Args:
        op: sizes.
    """

    def __init__(self, op: spec.FactorisedReduction) -> None:
        super().__init__()
        half = op.out_channels // 2
        self.even = nn.Conv2d(op.in_channels, op.out_channels - half, 1, 2, bias=False)
        self.odd = nn.Conv2d(op.in_channels, half, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(op.out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve the even and the odd positions."""
        features = torch.relu(features)
        # Padded before it is cut, so that an odd size gives ⌈H/2⌉ positions here too.
        shifted = F.pad(features, (0, 1, 0, 1))[:, :, 1:, 1:]
        reduced: Tensor = self.norm(torch.cat((self.even(features), self.odd(shifted)), 1))
        return reduced


class SqueezeExcitation(nn.Module):
    """Weigh each channel by a factor in (0, 1) found from all channels' means: (N, C, H, W) → (N, C, H, W).

    Args:
        channels: C.
        squeezed: number of channels between the two linear layers.
        activation: between the two linear layers.
    """

    def __init__(self, channels: int, squeezed: int, activation: nn.Module) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Squeeze to (N, squeezed), excite to (N, C), weigh."""
        factors = self.excite(self.activation(self.squeeze(features.mean((2, 3)))))
        return features * torch.sigmoid(factors)[:, :, None, None]


class InvertedResidual(nn.Sequential):
    """Expand, convolve by depth, weigh channels, project: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉).

    Args:
        op: sizes, and which of the parts there are.
    """

    def __init__(self, op: spec.InvertedResidual) -> None:
        activation = _ACTIVATIONS[op.activation]
        *wide, projection = (Convolution(part) for part in op.parts())
        layers = [layer for convolution in wide for layer in (convolution, activation())]
        if op.squeezed:
            layers.append(SqueezeExcitation(op.expanded, op.squeezed, activation()))
        super().__init__(*layers, projection)


class ShuffleUnit(nn.Module):
    """Two halves, then shuffled: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉).

    Args:
        op: sizes.
    """

    def __init__(self, op: spec.ShuffleUnit) -> None:
        super().__init__()
        self.splits = op.stride == 1
        self.side = nn.Sequential(*(Convolution(part) for part in op.side()))  # empty, it passes its input on
        self.main = nn.Sequential(*(Convolution(part) for part in op.main()))

    def forward(self, features: Tensor) -> Tensor:
        """Make both halves and take channels from them in turn."""
        first, second = features.chunk(2, 1) if self.splits else (features, features)
        return torch.stack((self.side(first), self.main(second)), 2).flatten(1, 2)


build_operation.register(spec.Convolution, Convolution)
build_operation.register(spec.SeparableConvolution, SeparableConvolution)
build_operation.register(spec.Match, Match)
build_operation.register(spec.Add, Add)
build_operation.register(spec.DropPath, DropPath)
build_operation.register(spec.ScaleGradient, ScaleGradient)
build_operation.register(spec.Classifier, Classifier)
build_operation.register(spec.CellConvolution, CellConvolution)
build_operation.register(spec.FactorisedReduction, FactorisedReduction)
build_operation.register(spec.InvertedResidual, InvertedResidual)
build_operation.register(spec.ShuffleUnit, ShuffleUnit)


@build_operation.register
def _(op: spec.Identity) -> nn.Module:
    return nn.Identity()


@build_operation.register
def _(op: spec.Concat) -> nn.Module:
    return Concat()


@build_operation.register
def _(op: spec.Zero) -> nn.Module:
    return Zero()


@build_operation.register
def _(op: spec.Normalise) -> nn.Module:
    norm = nn.BatchNorm2d(op.channels)
    return nn.Sequential(norm, nn.ReLU()) if op.activate else norm


@build_operation.register
def _(op: spec.Pool) -> nn.Module:
    padding = (op.kernel - 1) // 2
    even = op.kernel % 2 == 0  # such a window is cut at the border, so that sizes are rounded up like all others
    pool: nn.Module
    if op.maximum:
        pool = nn.MaxPool2d(op.kernel, op.stride, padding, ceil_mode=even)
    else:
        pool = nn.AvgPool2d(op.kernel, op.stride, padding, ceil_mode=even, count_include_pad=False)
    return nn.Sequential(pool, nn.BatchNorm2d(op.norm_channels, affine=False)) if op.norm_channels else pool


@build_operation.register
def _(op: spec.Torchvision) -> nn.Module:
    # Imported here: torchvision takes a second to load, and only baselines need it.
    from mango_grader.models.baselines.torchvision import build_torchvision

    return build_torchvision(op.name, op.classes)
