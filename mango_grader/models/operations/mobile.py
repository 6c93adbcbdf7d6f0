"""The blocks of mobile networks: MobileNetV2's inverted residual and ShuffleNetV2's unit, made of convolutions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from mango_grader.models.operations.base import Operation, Shape, one_input, strided_output
from mango_grader.models.operations.basic import Convolution

Activation = Literal["relu6", "swish"]


@dataclass(frozen=True)
class InvertedResidual(Operation):
    """1×1 expansion, depthwise convolution, optional squeeze-excitation, linear 1×1 projection; BatchNorm after each.

    Source: MobileNetV2 (Sandler et al., 2018), §3.3, but the residual sum is a node of its own; SENet (Hu et al.,
    2018), §3.

    Attributes:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: height and width of the depthwise kernel, odd.
        stride: of the depthwise convolution, 1 or more.
        expansion: factor of the channels inside; with 1 there is no expansion.
        squeeze: width of the squeeze-excitation as a share of the input channels, 0 to 1; 0 for none.
        activation: "relu6" or "swish", after the expansion and the depthwise convolution.
    """

    kind: ClassVar[str] = "inverted_residual"
    in_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    expansion: int = 6
    squeeze: float = 0.0
    activation: Activation = "relu6"

    @property
    def expanded(self) -> int:
        """Channels between expansion and projection."""
        return self.in_channels * self.expansion

    @property
    def squeezed(self) -> int:
        """Channels inside the squeeze-excitation; 0 where there is none."""
        return max(1, int(self.in_channels * self.squeeze)) if self.squeeze else 0

    def parts(self) -> tuple[Convolution, ...]:
        """Return expansion (if any), depthwise convolution and projection, without their activations."""
        wide = self.expanded
        expansion = (Convolution(self.in_channels, wide, activate=False),) if self.expansion > 1 else ()
        depthwise = Convolution(wide, wide, self.kernel, self.stride, groups=wide, activate=False)
        return *expansion, depthwise, Convolution(wide, self.out_channels, activate=False)

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return strided_output(inputs, self.in_channels, self.out_channels, self.stride)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return those of the convolutions, and of both linear layers of the squeeze-excitation once."""
        _, height, width = one_input(inputs, self.in_channels)
        return _chain_macs(self.parts(), height, width) + 2 * self.expanded * self.squeezed

    def params(self) -> int:
        """Return the convolutions', and the weights and biases of the squeeze-excitation."""
        excitation = 2 * self.expanded * self.squeezed + self.squeezed + self.expanded if self.squeezed else 0
        return sum(part.params() for part in self.parts()) + excitation


@dataclass(frozen=True)
class ShuffleUnit(Operation):
    """ShuffleNetV2's unit: two halves side by side, whose channels are then shuffled.

    Stride 1 passes the first half of the channels on and convolves the second; stride 2 computes both halves from all
    channels. Source: ShuffleNetV2 (Ma et al., 2018), §3, figure 3; SPOS (Guo et al., 2020), §4.

    Attributes:
        in_channels: channels of the input, even.
        out_channels: channels of the output, even; with stride 1 as many as those of the input.
        kernel: height and width of every depthwise kernel, odd.
        stride: 1 or 2.
        xception: three depthwise convolutions with a 1×1 convolution after each, instead of a 1×1, a depthwise and a
            1×1 convolution.

    Raises:
        ValueError: for an odd number of channels, and where stride 1 would change it.
    """

    kind: ClassVar[str] = "shuffle_unit"
    in_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    xception: bool = False

    def __post_init__(self) -> None:
        if self.in_channels % 2 or self.out_channels % 2:
            raise ValueError(f"a shuffle unit needs even channels, got {self.in_channels} to {self.out_channels}")
        if self.stride == 1 and self.in_channels != self.out_channels:
            raise ValueError(f"a shuffle unit of stride 1 keeps its {self.in_channels} channels")

    def main(self) -> tuple[Convolution, ...]:
        """Return the convolutions that make the second half."""
        before = self.in_channels if self.stride > 1 else self.in_channels // 2
        half = self.out_channels // 2
        if not self.xception:
            return Convolution(before, half), self._depthwise(half, self.stride), Convolution(half, half)
        first = self._depthwise(before, self.stride), Convolution(before, half)
        return *first, *((self._depthwise(half), Convolution(half, half)) * 2)

    def side(self) -> tuple[Convolution, ...]:
        """Return the convolutions that make the first half; none with stride 1."""
        if self.stride == 1:
            return ()
        return self._depthwise(self.in_channels, self.stride), Convolution(self.in_channels, self.out_channels // 2)

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return strided_output(inputs, self.in_channels, self.out_channels, self.stride)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return those of the convolutions; splitting and shuffling are free."""
        _, height, width = one_input(inputs, self.in_channels)
        return _chain_macs(self.side(), height, width) + _chain_macs(self.main(), height, width)

    def params(self) -> int:
        """Return the convolutions'."""
        return sum(part.params() for part in (*self.side(), *self.main()))

    def _depthwise(self, channels: int, stride: int = 1) -> Convolution:
        return Convolution(channels, channels, self.kernel, stride, groups=channels, activate=False)


def _chain_macs(chain: Sequence[Convolution], height: int, width: int) -> int:
    total = 0
    for part in chain:
        total += part.macs([(part.in_channels, height, width)])
        _, height, width = part.output([(part.in_channels, height, width)])
    return total
