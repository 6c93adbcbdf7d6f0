"""Operation: one step of a network as plain data, with its shape, multiply-accumulates and parameters; no torch.

A shape is (channels, height, width). `macs` counts multiply-accumulates of convolutions and matrix products for one
image: half of what `torch.utils.flop_counter` counts. BatchNorm, activations and pooling count as 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

Shape = tuple[int, int, int]


class Operation(ABC):
    """One operation; a subclass is a frozen dataclass whose `kind` names it in JSON.

    Attributes:
        kind: name of the operation in JSON.
        kinds: all operations by their kind.
    """

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type["Operation"]]] = {}
    optional_inputs: ClassVar[bool] = False
    """Whether it still works where an architecture leaves out some of its inputs, but not all, as a sum does."""

    def __init_subclass__(cls) -> None:
        Operation.kinds[cls.kind] = cls

    @abstractmethod
    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Return the output's shape.

        Args:
            inputs: shape of each input, (channels, height, width).

        Raises:
            ValueError: where the inputs do not fit.
        """

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return the multiply-accumulates for one image.

        Args:
            inputs: shape of each input, (channels, height, width).
        """
        return 0

    def params(self) -> int:
        """Return the number of learnable parameters."""
        return 0

    def free(self, inputs: Sequence[Shape]) -> bool:
        """Return whether it computes nothing in a finished network: it hands its input on, or gives zeros."""
        return False

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Operation":
        """Rebuild any operation.

        Args:
            data: what `to_dict` returned.

        Raises:
            ValueError: for an unknown kind.
        """
        fields = dict(data)
        kind = fields.pop("kind", None)
        if kind not in Operation.kinds:
            raise ValueError(f"unknown operation {kind!r}; known: {', '.join(sorted(Operation.kinds))}")
        return Operation.kinds[kind](**fields)


def one_input(inputs: Sequence[Shape], channels: int) -> Shape:
    """Return the shape of the only input.

    Args:
        inputs: shapes of all inputs.
        channels: number of channels that the input must have.

    Raises:
        ValueError: unless there is one input, of so many channels.
    """
    if len(inputs) != 1 or inputs[0][0] != channels:
        raise ValueError(f"expected one input of {channels} channels, got {list(inputs)}")
    return inputs[0]


def strided(length: int, stride: int) -> int:
    """Return ⌈length / stride⌉, what every strided operation here makes of a length.

    Args:
        length: height or width, in pixels.
        stride: 1 or more.
    """
    return -(-length // stride)


def strided_output(inputs: Sequence[Shape], in_channels: int, out_channels: int, stride: int) -> Shape:
    """Return (out_channels, ⌈H/stride⌉, ⌈W/stride⌉) for one input (in_channels, H, W).

    Args:
        inputs: shapes of all inputs.
        in_channels: number of channels that the input must have.
        out_channels: number of channels of the output.
        stride: 1 or more.

    Raises:
        ValueError: unless there is one input, of so many channels.
    """
    _, height, width = one_input(inputs, in_channels)
    return out_channels, strided(height, stride), strided(width, stride)
