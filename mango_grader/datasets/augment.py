"""What augmentation is to do, as plain data, and the interface of whatever does it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError

__all__ = ["Augment", "Augmenter"]


@dataclass(frozen=True)
class Augment:
    """Random changes of an image that leave its grade; the defaults suit fruit seen from above.

    In this order: flips, one affine map about the centre (proportions kept, borders reflected), colour, cutout.
    `horizontal_flip`, `vertical_flip`, `cutout_probability`: probabilities. `rotate`: at most so many degrees
    either way, 0..180. `shift`: at most so much of the side, 0..0.5. `scale`, `brightness`, `contrast`,
    `saturation`: factors from 1 − x to 1 + x, 0 ≤ x < 1. `hue`: at most so much of the colour circle, 0..0.5.
    `cutout`: largest height and width of one rectangle filled with `cutout_fill` (the letterbox grey), as a
    fraction of the image's, 0..1; the least is half of that.
    """

    horizontal_flip: float = 0.5
    vertical_flip: float = 0.5
    rotate: float = 20.0
    shift: float = 0.08
    scale: float = 0.12
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.15
    hue: float = 0.01
    cutout: float = 0.3
    cutout_probability: float = 0.5
    cutout_fill: tuple[int, int, int] = (114, 114, 114)

    def __post_init__(self) -> None:
        limits = {"rotate": 180.0, "shift": 0.5, "hue": 0.5} | dict.fromkeys(_FACTORS, 0.99)
        for field in fields(self):
            value, most = getattr(self, field.name), limits.get(field.name, 1.0)
            if field.name != "cutout_fill" and not 0 <= value <= most:
                raise UsageError(f"augmentation: {field.name} must be in 0..{most:g}, not {value}")
        if len(self.cutout_fill) != 3 or not all(0 <= value <= 255 for value in self.cutout_fill):
            raise UsageError(f"augmentation: cutout_fill must be three values in 0..255, not {self.cutout_fill}")

    @classmethod
    def none(cls) -> Self:
        """Return the description that changes nothing."""
        return cls.from_dict({field.name: 0.0 for field in fields(cls) if field.name != "cutout_fill"})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"cutout_fill": list(self.cutout_fill)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; raise `UsageError` for unknown names or values out of range."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"augmentation: no setting {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        fill: Sequence[int] = values.get("cutout_fill", cls.cutout_fill)
        return cls(**{**values, "cutout_fill": tuple(int(value) for value in fill)})


_FACTORS = ("scale", "brightness", "contrast", "saturation")


class Augmenter(Protocol):
    """Carries out one `Augment` on batches: with albumentations on CPUs; a batched torch one fits the same way."""

    def __call__(self, images: NDArray[np.uint8], seed: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a changed copy of `images`, uint8 (N, H, W, 3); the same images and seed give the same bytes.

        `seed` is made of what the batch is (run seed, epoch, step), so that a resumed run repeats it.
        """
