"""The operations of DARTS's cells (Liu et al. 2019, §3.1 and appendix A.1) that no other family of networks has."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.models.operations.base import Operation, Shape, strided_output
from mango_grader.models.operations.basic import Convolution


@dataclass(frozen=True)
class CellConvolution(Operation):
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm, once or several times over.

    DARTS's separable convolutions have it twice, with the stride in the first; its dilated ones have it once, with
    dilation 2.

    Attributes:
        channels: of input and output.
        kernel: height and width of the depthwise kernels, odd.
        stride: of the first depthwise convolution, 1 or more.
        dilation: of the depthwise convolutions, 1 or more.
        repeats: how many times over, 1 or more.
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
        return strided_output(inputs, self.channels, self.channels, self.stride)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return kernel² + channels per output value, `repeats` times."""
        return self.repeats * math.prod(self.output(inputs)) * (self.kernel**2 + self.channels)

    def params(self) -> int:
        """Return the sum over all convolutions."""
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
    """Halves height and width without a large kernel: ReLU, two strided 1×1 convolutions side by side, BatchNorm.

    The second reads the input shifted by one pixel both ways (zeros move in), so that it reads what the first skips.

    Attributes:
        in_channels: channels of the input.
        out_channels: channels of the output, of both convolutions together.
    """

    kind: ClassVar[str] = "factorised_reduction"
    in_channels: int
    out_channels: int

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/2⌉, ⌈W/2⌉)."""
        return strided_output(inputs, self.in_channels, self.out_channels, stride=2)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return in · out per output position, of both convolutions together."""
        channels, height, width = self.output(inputs)
        return channels * height * width * self.in_channels

    def params(self) -> int:
        """Return the number of kernel weights, and of BatchNorm's scales and shifts."""
        return self.out_channels * (self.in_channels + 2)
