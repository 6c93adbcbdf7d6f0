"""Brightness, contrast, saturation and hue of batches: float (N, H, W, 3) in 0–255, and amounts (N, 1, 1, 1).

An amount of 0 changes nothing; brightness, contrast and saturation are multiplied by 1 + amount.
"""

import torch
from torch import Tensor

__all__ = ["brightened", "contrasted", "hue_turned", "saturated"]

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def brightened(images: Tensor, amount: Tensor) -> Tensor:
    """Multiply."""
    return (images * (1 + amount)).clamp(0, 255)


def contrasted(images: Tensor, amount: Tensor) -> Tensor:
    """Move away from (or, below 0, towards) the image's mean grey."""
    mean = _grey(images).mean((1, 2), keepdim=True)
    return (images + (images - mean) * amount).clamp(0, 255)


def saturated(images: Tensor, amount: Tensor) -> Tensor:
    """Move away from (or, below 0, towards) each pixel's own grey."""
    grey = _grey(images)
    return (images + (images - grey) * amount).clamp(0, 255)


def hue_turned(images: Tensor, turn: Tensor) -> Tensor:
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
