"""Frames of drawn belts: a texture that moves, and discs of other colours on it, whose places are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Disc:
    """A fruit as the tests draw it.

    x, y: of its centre, in pixels. radius: in pixels. colour: RGB.
    """

    x: float
    y: float
    radius: float = 30.0
    colour: tuple[int, int, int] = (190, 150, 60)


def draw_belt(height: int, width: int, shift: float = 0.0, seed: int = 0) -> Image:
    """Return an empty belt of white slats, dark holes and a steel rod now and then, that has moved right by `shift`."""
    noise = np.random.default_rng(seed + int(shift * 16))
    along = (np.arange(width) - shift)[None, :] % 40
    across = np.arange(height)[:, None] % 48
    belt = np.full((height, width, 3), (176, 178, 184), float)
    belt[(along < 18) & (across < 18)] = (22, 20, 18)  # holes
    belt[np.broadcast_to((along > 34) & (across > 20), (height, width))] = (96, 100, 112)  # rods
    belt *= np.linspace(0.85, 1.1, width)[None, :, None]
    belt = cv2.GaussianBlur(belt, (0, 0), 1.0) + noise.normal(0, 4, (height, width, 1))
    return np.clip(belt, 0, 255).astype(np.uint8)


def draw_fruit_on(belt: Image, discs: Sequence[Disc]) -> Image:
    """Return the belt with discs on it, each with a soft shadow, lit from the left."""
    image = belt.astype(float)
    y, x = np.mgrid[: belt.shape[0], : belt.shape[1]]
    for disc in discs:
        away = np.hypot(x - disc.x - 0.35 * disc.radius, y - disc.y - 0.35 * disc.radius) / disc.radius
        image *= 1 - 0.4 * np.clip((1.3 - away) / 0.4, 0, 1)[..., None]
    for disc in discs:
        inside = np.hypot(x - disc.x, y - disc.y) <= disc.radius
        shade = 1.05 - 0.35 * (x - disc.x + y - disc.y) / (2 * disc.radius)
        image[inside] = (np.array(disc.colour) * shade[..., None])[inside]
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8), 0, 255).astype(np.uint8)
