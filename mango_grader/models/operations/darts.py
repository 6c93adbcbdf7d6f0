"""The operations of DARTS's cells (Liu et al. 2019, §3.1 and appendix A.1) that no other family of networks has."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.models.operations.base import Operation, Shape, one_input, strided
from mango_grader.models.operations.basic import Convolution


@dataclass(frozen=True)
class CellConvolution(Operation):
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm, and all that `repeats` times over.

    DARTS's separable convolutions repeat it twice, the stride in the first; its dilated ones have it once, dilation 2.
    """

    kind: ClassVar[str] = "cell_convolution"
    channels: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    repeats: int = 1

    def parts(self) -> tuple[Convolution, ...]:
        """Return its depthwise and pointwise convolutions in their order."""
        pointwise = Convolution(self.channels, self.channels, activate=False)
        strides = (self.stride, *[1] * (self.repeats - 1))
        return tuple(part for stride in strides for part in (self._depthwise(stride), pointwise))

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(channels, H, W) to (channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        channels, height, width = one_input(inputs, self.channels)
        return channels, strided(height, self.stride), strided(width, self.stride)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """kernel² + channels per number of the output, `repeats` times."""
        return self.repeats * math.prod(self.output(inputs)) * (self.kernel**2 + self.channels)

    def params(self) -> int:
        """The sum over all parts."""
        return sum(part.params() for part in self.parts())

    def _depthwise(self, stride: int) -> Convolution:
        return Convolution(
            self.channels,
            self.channels,
            self.kernel,
            stride,
            self.dilation,
            groups=self.channels,
            activate=False,
            norm=False,
            preactivate=True,
        )


@dataclass(frozen=True)
class FactorisedReduction(Operation):
    """Half the size without a large kernel: ReLU, two 1×1 convolutions of stride 2 side by side, BatchNorm.

    The second sees the input shifted by one pixel both ways (zeros move in), so that it reads what the first skips.
    """

    kind: ClassVar[str] = "factorised_reduction"
    in_channels: int
    out_channels: int

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/2⌉, ⌈W/2⌉)."""
        _, height, width = one_input(inputs, self.in_channels)
        return self.out_channels, strided(height, 2), strided(width, 2)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """in · out per output position, both convolutions together."""
        channels, height, width = self.output(inputs)
        return channels * height * width * self.in_channels

    def params(self) -> int:
        """Kernel weights, and BatchNorm's scale and shift."""
        return self.out_channels * (self.in_channels + 2)
