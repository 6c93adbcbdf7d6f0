"""The policies of AutoAugment (Cubuk et al. 2019), found on ImageNet and CIFAR-10, as tables and their executor."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

__all__ = ["POLICIES", "apply_policy"]

Step = tuple[str, float, int]
"""An operation, its probability and its level, 0 to 9 (without effect for operations without a magnitude)."""

# Each image is given one pair of steps. Appendix A, Tables 9 (ImageNet) and 7 (CIFAR-10).
POLICIES: Mapping[str, Sequence[tuple[Step, Step]]] = {
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)), (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
        (("equalize", 0.8, 0), ("equalize", 0.6, 0)), (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 0), ("solarize", 0.2, 4)), (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 0)), (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)), (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("colour", 0.4, 0)), (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
        (("equalize", 0.0, 0), ("equalize", 0.8, 0)), (("invert", 0.6, 0), ("equalize", 1.0, 0)),
        (("colour", 0.6, 4), ("contrast", 1.0, 8)), (("rotate", 0.8, 8), ("colour", 1.0, 2)),
        (("colour", 0.8, 8), ("solarize", 0.8, 7)), (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 0)), (("colour", 0.4, 0), ("equalize", 0.6, 0)),
        (("equalize", 0.4, 0), ("solarize", 0.2, 4)), (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
        (("invert", 0.6, 0), ("equalize", 1.0, 0)), (("colour", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    ),
    "cifar10": (
        (("invert", 0.1, 0), ("contrast", 0.2, 6)), (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)), (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)), (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("colour", 0.4, 3), ("brightness", 0.6, 7)), (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 0), ("equalize", 0.5, 0)), (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("colour", 0.7, 7), ("translate_x", 0.5, 8)), (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)), (("brightness", 0.9, 6), ("colour", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 0)), (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
        (("equalize", 0.2, 0), ("equalize", 0.6, 0)), (("colour", 0.9, 9), ("equalize", 0.6, 0)),
        (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)), (("brightness", 0.1, 3), ("colour", 0.7, 0)),
        (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)), (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)), (("equalize", 0.8, 0), ("invert", 0.1, 0)),
        (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
    ),
}  # fmt: skip

_LEVELS = 9
Change = Callable[[Tensor, float, Sequence[int]], Tensor]


def apply_policy(images: Tensor, policy: Literal["imagenet", "cifar10"], seed: int, fill: Sequence[int]) -> Tensor:
    """Return a changed copy of images, uint8 (N, H, W, 3), on their device; the same seed draws the same steps.

    Each image is given one of the policy's pairs of steps, and each step with its probability and a random sign.
    Images that share a step take it together, so that a large batch costs hardly more than a small one; the host never
    waits for the device.

    Source: Cubuk et al. 2019, *AutoAugment*, appendix A, Tables 7 and 9.

    Args:
        images: uint8 (N, H, W, 3) RGB.
        policy: which table.
        seed: 0 or more.
        fill: the colour of what comes in from beyond the border; RGB, each 0..255.
    """
    rng = np.random.default_rng(seed)
    pairs = [POLICIES[policy][number] for number in rng.integers(len(POLICIES[policy]), size=len(images))]
    chances, signs = rng.random((2, len(images))), rng.choice([-1, 1], (2, len(images)))
    changed = images.permute(0, 3, 1, 2).clone()
    for turn in range(2):
        together: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        for image, pair in enumerate(pairs):
            name, probability, level = pair[turn]
            if chances[turn, image] < probability:
                together[name, level, int(signs[turn, image])].append(image)
        for (name, level, sign), members in together.items():
            index = torch.tensor(members).to(images.device, non_blocking=True)
            changed[index] = _step(changed[index], name, level / _LEVELS, sign, fill)
    return changed.permute(0, 2, 3, 1)


def _step(images: Tensor, name: str, share: float, sign: int, fill: Sequence[int]) -> Tensor:
    if name in _MOVES:
        largest, move = _MOVES[name]
        return move(images, sign * share * largest, fill)
    if name in _FACTORS:
        return _FACTORS[name](images, 1 + sign * share * 0.9)
    return _OTHERS[name](images, share)


def _affine(
    images: Tensor, fill: Sequence[int], shift: tuple[int, int] = (0, 0), shear: tuple[float, float] = (0.0, 0.0)
) -> Tensor:
    # Sheared about the corner, as the paper's own code does.
    centre = [0.0, 0.0] if any(shear) else None
    moved: Tensor = F.affine(images, 0.0, list(shift), 1.0, _degrees(shear), fill=list(fill), center=centre)
    return moved


def _degrees(slopes: tuple[float, float]) -> list[float]:
    return [float(np.degrees(np.arctan(slope))) for slope in slopes]


# The largest magnitude, and what it does; either sign is as likely.
_MOVES: Mapping[str, tuple[float, Change]] = {
    "shear_x": (0.3, lambda images, slope, fill: _affine(images, fill, shear=(slope, 0.0))),
    "shear_y": (0.3, lambda images, slope, fill: _affine(images, fill, shear=(0.0, slope))),
    "translate_x": (150 / 331, lambda images, part, fill: _affine(images, fill, (int(part * images.shape[3]), 0))),
    "translate_y": (150 / 331, lambda images, part, fill: _affine(images, fill, (0, int(part * images.shape[2])))),
    "rotate": (30.0, lambda images, angle, fill: F.rotate(images, angle, fill=list(fill))),
}
_FACTORS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "brightness": F.adjust_brightness,
    "colour": F.adjust_saturation,
    "contrast": F.adjust_contrast,
    "sharpness": F.adjust_sharpness,
}
_OTHERS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "posterize": lambda images, share: F.posterize(images, round(8 - 4 * share)),
    "solarize": lambda images, share: F.solarize(images, 255 * (1 - share)),
    "autocontrast": lambda images, _: F.autocontrast(images),
    "equalize": lambda images, _: F.equalize(images),
    "invert": lambda images, _: F.invert(images),
}
