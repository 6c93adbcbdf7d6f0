"""Carries out an `Augment` with torch, on batches, on whatever device the images are or should be."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mango_grader.datasets.augmentation import Augment

__all__ = ["TorchAugmenter"]

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


class TorchAugmenter:
    """Changes batches of images on a device; it keeps no state, threads may share it.

    Every setting means what it means to `AlbumentationsAugmenter`, but the random numbers are others. They are drawn on
    the host, from the seed: a few for each image, the same for every device. The host never waits for the device.

    Args:
        augment: what to change.
        device: where; images elsewhere are copied to it.

    Example:
        ```python
        import torch

        from mango_grader.datasets import Augment
        from mango_grader.datasets.augmentation.torch_augment import TorchAugmenter

        augmenter = TorchAugmenter(Augment(rotate=45), torch.device("cpu"))
        images = torch.zeros(4, 32, 48, 3, dtype=torch.uint8)
        assert torch.equal(augmenter(images, (0, 1)), augmenter(images, (0, 1)))
        ```
    """

    def __init__(self, augment: Augment, device: torch.device) -> None:
        self.augment, self.device = augment, device

    def __call__(self, images: Tensor, seed: tuple[int, ...]) -> Tensor:
        """Return a changed copy of images, uint8 (N, H, W, 3), on the device; the same seed gives the same changes.

        Args:
            images: uint8 (N, H, W, 3) RGB, on any device.
            seed: one or more numbers, 0 or more; the only state.

        Raises:
            ValueError: images are of another shape or type.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(f"images must be uint8 (N, H, W, 3), not {images.dtype} {tuple(images.shape)}")
        augment, number = self.augment, int(np.random.SeedSequence(seed).generate_state(1)[0])
        generator = torch.Generator().manual_seed(number)
        draws = _Draws(len(images), generator, self.device)
        order = torch.randperm(4, generator=generator).tolist()
        changed = images.to(self.device, non_blocking=True).clone()
        if augment.policy != "none":
            from mango_grader.datasets.augmentation.autoaugment import (
                apply_policy,  # torchvision takes a second to load
            )

            changed = apply_policy(changed, augment.policy, number, augment.cutout_fill)
        if augment.horizontal_flip:
            changed = torch.where(draws.chance("horizontal_flip", augment.horizontal_flip), changed.flip(2), changed)
        if augment.vertical_flip:
            changed = torch.where(draws.chance("vertical_flip", augment.vertical_flip), changed.flip(1), changed)
        if augment.rotate or augment.shift or augment.scale:
            changed = _to_bytes(_moved(changed.float(), augment, draws))
        if augment.brightness or augment.contrast or augment.saturation or augment.hue:
            changed = _to_bytes(_coloured(changed.float(), augment, draws, order))
        if augment.cutout and augment.cutout_probability:
            fill = torch.tensor(augment.cutout_fill, dtype=torch.uint8).to(self.device, non_blocking=True)
            changed = torch.where(_hole(changed, augment, draws), fill, changed)
        return changed


class _Draws:
    """A uniform number for each image and each use, so that a setting does not change the numbers of another."""

    uses = (
        *("horizontal_flip", "vertical_flip", "rotate", "scale", "right", "down"),
        *("brightness", "contrast", "saturation", "hue"),
        *("hole_height", "hole_width", "hole_top", "hole_left", "cutout"),
    )

    def __init__(self, count: int, generator: torch.Generator, device: torch.device) -> None:
        numbers = torch.rand(len(self.uses), count, generator=generator).to(device, non_blocking=True)
        self._of: dict[str, Tensor] = dict(zip(self.uses, numbers, strict=True))

    def unit(self, use: str) -> Tensor:
        """Return (N,) in [0, 1)."""
        return self._of[use]

    def within(self, use: str, spread: float) -> Tensor:
        """Return (N,) in [−spread, spread)."""
        return (2 * self._of[use] - 1) * spread

    def chance(self, use: str, probability: float) -> Tensor:
        """Return (N, 1, 1, 1), true with the probability."""
        return (self._of[use] < probability).view(-1, 1, 1, 1)


def _moved(images: Tensor, augment: Augment, draws: _Draws) -> Tensor:
    """Scale, turn and shift images, float (N, H, W, 3), about their centre."""
    height, width = images.shape[1:3]
    angle, scale = draws.within("rotate", augment.rotate) * torch.pi / 180, 1 + draws.within("scale", augment.scale)
    right = (draws.within("right", augment.shift) * width).trunc()  # whole pixels
    down = (draws.within("down", augment.shift) * height).trunc()
    # From a place in the result back to the image's, in pixels from the centre: shift, turn and scale undone.
    cos, sin = angle.cos() / scale, angle.sin() / scale
    back = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    # grid_sample counts from −1 to 1 between the centres of the outermost pixels, about which it reflects.
    half = torch.tensor([max(width - 1, 1) / 2, max(height - 1, 1) / 2]).to(images.device, non_blocking=True)
    linear = back * half / half.view(2, 1)
    offset = -(back @ torch.stack([right, down], 1).unsqueeze(2)) / half.view(2, 1)
    grid = F.affine_grid(torch.cat([linear, offset], 2), [len(images), 3, height, width], align_corners=True)
    moved = F.grid_sample(images.permute(0, 3, 1, 2), grid, padding_mode="reflection", align_corners=True)
    return moved.permute(0, 2, 3, 1)


def _coloured(images: Tensor, augment: Augment, draws: _Draws, order: list[int]) -> Tensor:
    """Change colours of images, float (N, H, W, 3), in an order that is drawn for the whole batch."""
    changes = (
        ("brightness", augment.brightness, _brightened),
        ("contrast", augment.contrast, _contrasted),
        ("saturation", augment.saturation, _saturated),
        ("hue", augment.hue, _hue_turned),
    )
    for number in order:
        name, spread, change = changes[number]
        if spread:
            images = change(images, draws.within(name, spread).view(-1, 1, 1, 1))
    return images


# Colours: images are float (N, H, W, 3) in 0..255, amounts (N, 1, 1, 1); an amount of 0 changes nothing.


def _brightened(images: Tensor, amount: Tensor) -> Tensor:
    """Multiply."""
    return (images * (1 + amount)).clamp(0, 255)


def _contrasted(images: Tensor, amount: Tensor) -> Tensor:
    """Move away from (or, below 0, towards) the image's mean grey."""
    mean = _grey(images).mean((1, 2), keepdim=True)
    return (images + (images - mean) * amount).clamp(0, 255)


def _saturated(images: Tensor, amount: Tensor) -> Tensor:
    """Move away from (or, below 0, towards) each pixel's own grey."""
    grey = _grey(images)
    return (images + (images - grey) * amount).clamp(0, 255)


def _hue_turned(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue by a part of the colour circle, in [−0.5, 0.5]; value and saturation (HSV) stay."""
    red, green, blue = images.unbind(3)
    value, lowest = images.amax(3), images.amin(3)
    chroma = value - lowest
    safe = chroma.clamp(min=1e-6)
    sixths = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    offsets = torch.tensor([5.0, 3.0, 1.0]).to(images.device, non_blocking=True)  # of red, green and blue
    places = (sixths.unsqueeze(3) + 6 * turn + offsets) % 6
    return value.unsqueeze(3) - chroma.unsqueeze(3) * torch.minimum(places, 4 - places).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(3)
    return (_GREY[0] * red + _GREY[1] * green + _GREY[2] * blue).unsqueeze(3)


def _hole(images: Tensor, augment: Augment, draws: _Draws) -> Tensor:
    """Return (N, H, W, 1), true inside each image's rectangle and nowhere in an image that has none."""

    def inside(length: int, size: Tensor, start: Tensor) -> Tensor:
        least = augment.cutout_least
        sizes = (length * augment.cutout * (least + (1 - least) * size)).floor()
        first = (start * (length - sizes + 1)).floor()
        places = torch.arange(length, device=images.device)
        return (places >= first[:, None]) & (places < (first + sizes)[:, None])

    rows = inside(images.shape[1], draws.unit("hole_height"), draws.unit("hole_top"))
    columns = inside(images.shape[2], draws.unit("hole_width"), draws.unit("hole_left"))
    hole = (rows[:, :, None] & columns[:, None, :]).unsqueeze(3)
    return hole & draws.chance("cutout", augment.cutout_probability)


def _to_bytes(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8)
