"""The modules of `operations.darts`."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mango_grader.models import operations as spec
from mango_grader.models.modules.base import build_operation
from mango_grader.models.modules.basic import Convolution


class CellConvolution(nn.Sequential):
    """A chain of preactivated separable convolutions: (N, C, H, W) → (N, C, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, op: spec.CellConvolution) -> None:
        super().__init__(*(Convolution(part) for part in op.parts()))


class FactorisedReduction(nn.Module):
    """Two strided 1×1 convolutions side by side: (N, in, H, W) → (N, out, ⌈H/2⌉, ⌈W/2⌉)."""

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


build_operation.register(spec.CellConvolution, CellConvolution)
build_operation.register(spec.FactorisedReduction, FactorisedReduction)
