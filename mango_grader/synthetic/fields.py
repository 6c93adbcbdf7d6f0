"""Smooth random fields and colours, from which all synthetic images are made."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
GAMMA = 2.2


def linear(rgb: Sequence[float]) -> Array:
    """Return the linear light, 0..1, of a display colour (3,), 0..255."""
    return np.asarray((np.asarray(rgb) / 255) ** GAMMA, np.float32)


def encode(light: Array) -> Array:
    """Return the display values, 0..1, of linear light; highlights above 0.8 are compressed smoothly."""
    over = np.maximum(light - 0.8, 0)
    light = np.minimum(light, 0.8) + 0.2 * over / (over + 0.2)
    return np.maximum(light, 0) ** np.float32(1 / GAMMA)


def display_factor(light: Array) -> Array:
    """Return the factor of display values that a factor of the light comes to."""
    return np.asarray(light ** np.float32(1 / GAMMA), np.float32)


def to_bytes(values: Array) -> NDArray[np.uint8]:
    """Return display values 0..1 as bytes, rounded."""
    return np.asarray(np.clip(values * 255 + 0.5, 0, 255), np.uint8)


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Return a smooth cubic step from 0 to 1.

    Args:
        low: where the step is 0.
        high: where the step is 1; below `low`, the step falls.
        x: places of any shape.
    """
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(a: Array, b: Array, share: Array | float) -> Array:
    """Blend two colours.

    Args:
        a: (…, 3), the result for share 0.
        b: (…, 3), the result for share 1.
        share: of `b`, (…) or one number, 0..1.
    """
    share = np.asarray(share, np.float32)
    return np.asarray(a + (b - a) * (share[..., None] if share.ndim else share), np.float32)


def shaded(colour: Array, light: Array) -> Array:
    """Return colours under a light, (…, 3).

    Args:
        colour: (3,) or (…, 3).
        light: factor (…).
    """
    return np.asarray(colour * light[..., None], np.float32)


def waves(rng: np.random.Generator, points: Array, frequency: float, count: int = 10) -> Array:
    """Return a random smooth field (P,) of about unit variance.

    The same state of the generator gives the same field in space, so that a fruit keeps its texture when it is turned.

    Args:
        rng: generator.
        points: (3, P) in space.
        frequency: cycles per unit of length.
        count: number of waves that are added.
    """
    directions = rng.normal(size=(count, 3))
    directions *= (rng.uniform(0.6, 1.4, count) / np.linalg.norm(directions, axis=1))[:, None]
    phases = rng.uniform(0, 2 * np.pi, (count, 1)).astype(np.float32)
    angles = (2 * np.pi * frequency * directions).astype(np.float32) @ points + phases
    return np.asarray(np.cos(angles, out=angles).sum(axis=0) * (2 / count) ** 0.5, np.float32)


def spread_directions(count: int) -> Array:
    """Return unit directions (3, count), evenly spread over the sphere on a spiral."""
    n = np.arange(count)
    height = 1 - (2 * n + 1) / count
    angle, radius = n * (np.pi * (3 - 5**0.5)), np.sqrt(1 - height * height)
    return np.asarray([height, radius * np.cos(angle), radius * np.sin(angle)], np.float32)


def grain(rng: np.random.Generator, size: int, knots: float | tuple[float, float], octaves: int = 1) -> Array:
    """Return a random smooth image (size, size) of about unit variance.

    Args:
        rng: generator.
        size: in pixels.
        knots: number of random values across the image; with different numbers for (rows, columns), streaks appear.
        octaves: number of images that are added, each with twice the knots and half the height of the one before.
    """
    rows, columns = knots if isinstance(knots, tuple) else (knots, knots)
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        shape = (max(2, round(rows * 2**octave)), max(2, round(columns * 2**octave)))
        coarse = rng.standard_normal(shape, np.float32)
        total += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(0.5**octave)
    return total


def blur(image: Array, sigma: float) -> Array:
    """Blur by a Gaussian.

    Args:
        image: (H, W) or (H, W, 3).
        sigma: in pixels; below 0.15, the image is returned as it is.
    """
    return image if sigma < 0.15 else cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False)


def pick(rng: np.random.Generator, colours: Sequence[Sequence[float]], jitter: float = 0.12) -> Array:
    """Return a colour in linear light (3,).

    Args:
        rng: generator.
        colours: display colours to draw from, each (3,), 0..255.
        jitter: about how much the channels vary, as a share.
    """
    chosen = linear(colours[int(rng.integers(len(colours)))])
    return chosen * np.exp(rng.normal(0, jitter) + rng.normal(0, jitter / 3, 3)).astype(np.float32)
