"""The modules of `operations.mobile`."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mango_grader.models import operations as spec
from mango_grader.models.modules.base import build_operation
from mango_grader.models.modules.basic import Convolution

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu6": nn.ReLU6, "swish": nn.SiLU}


class SqueezeExcitation(nn.Module):
    """Weigh each channel by a factor in (0, 1) found from all channels' means: (N, C, H, W) → (N, C, H, W)."""

    def __init__(self, channels: int, squeezed: int, activation: nn.Module) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Squeeze to (N, squeezed), excite to (N, C), weigh."""
        factors = self.excite(self.activation(self.squeeze(features.mean((2, 3)))))
        return features * torch.sigmoid(factors)[:, :, None, None]


class InvertedResidual(nn.Sequential):
    """Expand, convolve by depth, weigh channels, project: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, op: spec.InvertedResidual) -> None:
        activation = _ACTIVATIONS[op.activation]
        *wide, projection = (Convolution(part) for part in op.parts())
        layers = [layer for convolution in wide for layer in (convolution, activation())]
        if op.squeezed:
            layers.append(SqueezeExcitation(op.expanded, op.squeezed, activation()))
        super().__init__(*layers, projection)


class ShuffleUnit(nn.Module):
    """Two halves, then shuffled: (N, in, H, W) → (N, out, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, op: spec.ShuffleUnit) -> None:
        super().__init__()
        self.splits = op.stride == 1
        self.side = nn.Sequential(*(Convolution(part) for part in op.side()))  # empty, it passes its input on
        self.main = nn.Sequential(*(Convolution(part) for part in op.main()))

    def forward(self, features: Tensor) -> Tensor:
        """Make both halves and take channels from them in turn."""
        first, second = features.chunk(2, 1) if self.splits else (features, features)
        return torch.stack((self.side(first), self.main(second)), 2).flatten(1, 2)


build_operation.register(spec.InvertedResidual, InvertedResidual)
build_operation.register(spec.ShuffleUnit, ShuffleUnit)
