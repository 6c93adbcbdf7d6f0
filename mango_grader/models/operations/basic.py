"""The operations that most networks share: convolutions, sums, pooling, exits; and a whole torchvision network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.models.operations.base import Operation, Shape, one_input, strided_output


@dataclass(frozen=True)
class Convolution(Operation):
    """Convolution with optional BatchNorm and ReLU, padded so that odd kernels with stride 1 keep the size.

    Attributes:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: height and width of the kernel.
        stride: 1 or more.
        dilation: distance between the kernel's taps, 1 or more.
        groups: number of groups of channels; `in_channels` for a depthwise convolution.
        activate: whether a ReLU follows.
        norm: whether BatchNorm follows, before the ReLU.
        preactivate: whether a ReLU comes first.
    """

    kind: ClassVar[str] = "convolution"
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    activate: bool = True
    norm: bool = True
    preactivate: bool = False

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return strided_output(inputs, self.in_channels, self.out_channels, self.stride)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return kernel² · in/groups per output value."""
        channels, height, width = self.output(inputs)
        return channels * height * width * self.kernel**2 * self.in_channels // self.groups

    def params(self) -> int:
        """Return the number of kernel weights, and of BatchNorm's scales and shifts where there are any."""
        return self.out_channels * (self.kernel**2 * self.in_channels // self.groups + 2 * self.norm)


@dataclass(frozen=True)
class SeparableConvolution(Operation):
    """Depthwise convolution, BatchNorm, pointwise convolution, BatchNorm, optional ReLU.

    Attributes:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: height and width of the depthwise kernel, odd.
        stride: of the depthwise convolution, 1 or more.
        dilation: of the depthwise convolution, 1 or more.
        activate: whether a ReLU follows.
    """

    kind: ClassVar[str] = "separable_convolution"
    in_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    activate: bool = False

    def parts(self) -> tuple[Convolution, Convolution]:
        """Return its depthwise and its pointwise half."""
        depthwise = Convolution(
            self.in_channels,
            self.in_channels,
            self.kernel,
            self.stride,
            self.dilation,
            self.in_channels,
            False,
        )
        return depthwise, Convolution(self.in_channels, self.out_channels, activate=self.activate)

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        depthwise, pointwise = self.parts()
        return pointwise.output([depthwise.output(inputs)])

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return the sum over both convolutions."""
        depthwise, pointwise = self.parts()
        return depthwise.macs(inputs) + pointwise.macs([depthwise.output(inputs)])

    def params(self) -> int:
        """Return the sum over both convolutions."""
        return sum(part.params() for part in self.parts())


@dataclass(frozen=True)
class Match(Operation):
    """Bring an earlier feature to a later one's shape: average pooling, 1×1 convolution, BatchNorm.

    Attributes:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: height and width of the pooling window, and its stride; 1 for no pooling.
    """

    kind: ClassVar[str] = "match"
    in_channels: int
    out_channels: int
    stride: int = 1

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (out_channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return strided_output(inputs, self.in_channels, self.out_channels, self.stride)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return in · out per output position; pooling is free."""
        channels, height, width = self.output(inputs)
        return channels * height * width * self.in_channels

    def params(self) -> int:
        """Return the number of kernel weights, and of BatchNorm's scales and shifts."""
        return self.out_channels * (self.in_channels + 2)


@dataclass(frozen=True)
class Identity(Operation):
    """The input itself."""

    kind: ClassVar[str] = "identity"

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """One shape, unchanged."""
        return one_input(inputs, inputs[0][0])

    def free(self, inputs: Sequence[Shape]) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Add(Operation):
    """The sum of its inputs; inputs that an architecture left out count as zero.

    Attributes:
        activate: whether a ReLU follows.
    """

    kind: ClassVar[str] = "add"
    optional_inputs: ClassVar[bool] = True
    activate: bool = True

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Any number of equal shapes to that shape."""
        if not inputs or len(set(inputs)) != 1:
            raise ValueError(f"a sum needs equal shapes, got {list(inputs)}")
        return inputs[0]

    def free(self, inputs: Sequence[Shape]) -> bool:
        """Where only one input is left and nothing is done to it."""
        return len(inputs) == 1 and not self.activate


@dataclass(frozen=True)
class Concat(Operation):
    """The inputs' channels, one after another."""

    kind: ClassVar[str] = "concat"

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Shapes of equal height and width to their sum of channels."""
        if len({shape[1:] for shape in inputs}) != 1:
            raise ValueError(f"a concatenation needs equal heights and widths, got {list(inputs)}")
        return sum(shape[0] for shape in inputs), inputs[0][1], inputs[0][2]


@dataclass(frozen=True)
class Normalise(Operation):
    """BatchNorm, optional ReLU.

    Attributes:
        channels: of input and output.
        activate: whether a ReLU follows.
    """

    kind: ClassVar[str] = "normalise"
    channels: int
    activate: bool = False

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """One shape, unchanged."""
        return one_input(inputs, self.channels)

    def params(self) -> int:
        """Return the number of scales and shifts."""
        return 2 * self.channels


@dataclass(frozen=True)
class Zero(Operation):
    """Zeros of the input's shape: what a sum of nothing is (`SearchGraph.derive` drops it beside other summands)."""

    kind: ClassVar[str] = "zero"

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """One shape, unchanged."""
        return one_input(inputs, inputs[0][0])

    def free(self, inputs: Sequence[Shape]) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class DropPath(Operation):
    """In training, the whole input of some images becomes 0; otherwise the identity.

    Attributes:
        rate: probability to which dropping rises over training, from 0 to below 1.
    """

    kind: ClassVar[str] = "drop_path"
    rate: float

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """One shape, unchanged."""
        return one_input(inputs, inputs[0][0])

    def free(self, inputs: Sequence[Shape]) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class ScaleGradient(Operation):
    """The identity, with a scaled gradient.

    Attributes:
        factor: share of the gradient that comes back, 0 to 1.
    """

    kind: ClassVar[str] = "scale_gradient"
    factor: float

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """One shape, unchanged."""
        return one_input(inputs, inputs[0][0])

    def free(self, inputs: Sequence[Shape]) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Pool(Operation):
    """Maximum or average over a window, without multiply-accumulates.

    Attributes:
        maximum: maximum instead of average.
        kernel: height and width of the window: odd, and padded so that stride 1 keeps the size; or even and equal to
            the stride.
        stride: 1 or more.
        norm_channels: channels of a BatchNorm without learned scale and shift behind it, as in DARTS's cells; 0 for
            none.
    """

    kind: ClassVar[str] = "pool"
    maximum: bool
    kernel: int = 3
    stride: int = 1
    norm_channels: int = 0

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(C, H, W) to (C, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return strided_output(inputs, inputs[0][0], inputs[0][0], self.stride)


@dataclass(frozen=True)
class Classifier(Operation):
    """An exit: optional 1×1 convolution, mean over positions, dropout, linear layer.

    Attributes:
        in_channels: channels of the input.
        classes: number of logits.
        hidden: channels of the 1×1 convolution; 0 for none.
        dropout: probability before the linear layer, from 0 to below 1.
    """

    kind: ClassVar[str] = "classifier"
    in_channels: int
    classes: int
    hidden: int = 0
    dropout: float = 0.0

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(in_channels, H, W) to (classes, 1, 1)."""
        one_input(inputs, self.in_channels)
        return self.classes, 1, 1

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return those of the convolution at every position, and of the linear layer once."""
        if not self.hidden:
            return self.in_channels * self.classes
        return Convolution(self.in_channels, self.hidden).macs(inputs) + self.hidden * self.classes

    def params(self) -> int:
        """Return the convolution's, and the linear layer's weights and biases."""
        if not self.hidden:
            return (self.in_channels + 1) * self.classes
        return Convolution(self.in_channels, self.hidden).params() + (self.hidden + 1) * self.classes


@dataclass(frozen=True)
class Torchvision(Operation):
    """A whole torchvision classifier as one opaque operation; its costs were counted once, for one image size.

    Attributes:
        name: torchvision's name of the model.
        classes: number of logits.
        height: of the image, in pixels.
        width: of the image, in pixels.
        counted_macs: multiply-accumulates for one image of this size.
        counted_params: learnable parameters.
    """

    kind: ClassVar[str] = "torchvision"
    name: str
    classes: int
    height: int
    width: int
    counted_macs: int
    counted_params: int

    def output(self, inputs: Sequence[Shape]) -> Shape:
        """(3, height, width) to (classes, 1, 1)."""
        if list(inputs) != [(3, self.height, self.width)]:
            raise ValueError(f"{self.name} was counted for {(3, self.height, self.width)}, got {list(inputs)}")
        return self.classes, 1, 1

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return half of what `torch.utils.flop_counter` counted."""
        return self.counted_macs

    def params(self) -> int:
        """Return all learnable parameters."""
        return self.counted_params
