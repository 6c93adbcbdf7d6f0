"""What augmentation is to do, as plain data, and the interface of whatever does it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.ranges import Range, Ranged, Share

__all__ = ["Augment", "Augmenter"]

Policy = Literal["none", "imagenet", "cifar10"]
Degrees = Annotated[float, Range(0, 180)]
Half = Annotated[float, Range(0, 0.5)]
Change = Annotated[float, Range(0, 0.99)]
Grey = Annotated[int, Range(0, 255)]


@dataclass(frozen=True)
class Augment(Ranged):
    """Random changes of an image that leave its grade; the defaults suit fruit seen from above.

    In this order: policy, flips, one affine map about the centre (proportions kept, borders reflected), colour, cutout.

    Attributes:
        horizontal_flip: probability, 0..1.
        vertical_flip: probability, 0..1.
        rotate: largest angle either way, in degrees, 0..180.
        shift: largest shift either way, as a share of the side, 0..0.5.
        scale: x, 0..0.99; sides are multiplied by 1 − x to 1 + x.
        brightness: x, 0..0.99; values are multiplied by 1 − x to 1 + x.
        contrast: x, 0..0.99; distances from the mean grey are multiplied by 1 − x to 1 + x.
        saturation: x, 0..0.99; distances from each pixel's grey are multiplied by 1 − x to 1 + x.
        hue: largest turn either way, as a share of the colour circle, 0..0.5.
        cutout: largest height and width of one filled rectangle, as a share of the image's, 0..1.
        cutout_least: least height and width of it, as a share of the largest, 0..1; 1 gives all the same size.
        cutout_probability: probability of that rectangle, 0..1.
        cutout_fill: its colour, and that of what a policy moves in from beyond the border; RGB, each 0..255.
        policy: "none", or AutoAugment's "imagenet" or "cifar10".

    Raises:
        RangeError: a number is out of range.
        UsageError: there is no such policy.

    Example:
        >>> Augment.from_dict({"rotate": 45}).rotate
        45
    """

    horizontal_flip: Share = 0.5
    vertical_flip: Share = 0.5
    rotate: Degrees = 20.0
    shift: Half = 0.08
    scale: Change = 0.12
    brightness: Change = 0.15
    contrast: Change = 0.15
    saturation: Change = 0.15
    hue: Half = 0.01
    cutout: Share = 0.3
    cutout_least: Share = 0.5
    cutout_probability: Share = 0.5
    cutout_fill: tuple[Grey, Grey, Grey] = (114, 114, 114)
    policy: Policy = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.cutout_fill) != 3:
            raise UsageError(f"augmentation: cutout_fill must be three values in 0..255, not {self.cutout_fill}")
        if self.policy not in get_args(Policy):
            raise UsageError(f"augmentation: policy must be one of {', '.join(get_args(Policy))}, not {self.policy}")

    def ignored(self) -> Mapping[str, str]:
        """Return what describes a rectangle that is never drawn."""
        if self.cutout:
            return {}
        reason = "there are no holes; set cutout, too"
        fill = {} if self.policy != "none" else {"cutout_fill": reason}
        return dict.fromkeys(("cutout_least", "cutout_probability"), reason) | fill

    @classmethod
    def _numbers(cls) -> list[str]:
        return [field.name for field in fields(cls) if isinstance(field.default, float)]

    @classmethod
    def none(cls) -> Self:
        """Return the description that changes nothing."""
        return cls.from_dict(dict.fromkeys(cls._numbers(), 0.0) | {"cutout_least": cls.cutout_least})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"cutout_fill": list(self.cutout_fill)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`'s values, defaults where they lack one; raise `UsageError` for unknown names."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"augmentation: no setting {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        fill: Sequence[int] = values.get("cutout_fill", cls.cutout_fill)
        return cls(**{**values, "cutout_fill": tuple(int(value) for value in fill)})


class Augmenter(Protocol):
    """Carries out one `Augment` on batches of arrays; `TorchAugmenter` does on batches of tensors."""

    def __call__(self, images: NDArray[np.uint8], seed: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a changed copy of images, uint8 (N, H, W, 3); the same images and seed give the same bytes.

        Args:
            images: uint8 (N, H, W, 3) RGB.
            seed: what the batch is (run seed, epoch, step), so that a resumed run repeats it.
        """
