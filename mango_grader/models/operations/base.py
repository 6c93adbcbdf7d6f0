"""Operation: one step of a network as plain data, with its shape, multiply-accumulates and parameters; no torch.

A shape is (channels, height, width). `macs` counts multiply-accumulates of convolutions and matrix products for one
image, which is what `torch.utils.flop_counter` counts twice; BatchNorm, activations and pooling are free.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

Shape = tuple[int, int, int]


class Operation(ABC):
    """One operation; a subclass is a frozen dataclass whose `kind` names it in JSON."""

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type["Operation"]]] = {}
    optional_inputs: ClassVar[bool] = False
    """Whether it still works where an architecture leaves out some of its inputs, but not all, as a sum does."""

    def __init_subclass__(cls) -> None:
        Operation.kinds[cls.kind] = cls

    @abstractmethod
    def output(self, inputs: Sequence[Shape]) -> Shape:
        """Return the output's shape; raises ValueError where the inputs do not fit."""

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return the multiply-accumulates for one image."""
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
        """Rebuild any operation; raises ValueError for an unknown kind."""
        fields = dict(data)
        kind = fields.pop("kind", None)
        if kind not in Operation.kinds:
            raise ValueError(f"unknown operation {kind!r}; known: {', '.join(sorted(Operation.kinds))}")
        return Operation.kinds[kind](**fields)


def one_input(inputs: Sequence[Shape], channels: int) -> Shape:
    """Return the only shape of `inputs`; raises ValueError unless it has so many channels."""
    if len(inputs) != 1 or inputs[0][0] != channels:
        raise ValueError(f"expected one input of {channels} channels, got {list(inputs)}")
    return inputs[0]


def strided(length: int, stride: int) -> int:
    """Return ⌈length / stride⌉, what every strided operation here makes of a length."""
    return -(-length // stride)
