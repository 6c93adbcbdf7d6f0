"""A whole torchvision network as one operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mango_grader.models.operations.base import Operation, Shape


@dataclass(frozen=True)
class Torchvision(Operation):
    """A whole torchvision classifier as one opaque operation; its costs were counted once, for this image size."""

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
        """Return what `torch.utils.flop_counter` counted, halved."""
        return self.counted_macs

    def params(self) -> int:
        """Return the learnable parameters, all of them."""
        return self.counted_params
