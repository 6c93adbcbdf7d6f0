"""Smooth random fields and colour conversions, the pigments of every picture here."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
GAMMA = 2.2


def linear(rgb: Sequence[float]) -> Array:
    """Turn a display colour (3,), 0 to 255, into linear light, 0 to 1."""
    return np.asarray((np.asarray(rgb) / 255) ** GAMMA, np.float32)


def encode(light: Array) -> Array:
    """Turn linear light into display values, 0 to 1, rolling highlights off softly above 0.8."""
    over = np.maximum(light - 0.8, 0)
    light = np.minimum(light, 0.8) + 0.2 * over / (over + 0.2)
    return np.maximum(light, 0) ** np.float32(1 / GAMMA)


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Return 0 below `low`, 1 above `high` and a smooth cubic between; `low` > `high` falls instead."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(a: Array, b: Array, share: Array | float) -> Array:
    """Blend colours (…, 3) from `a` (share 0) to `b` (share 1)."""
    share = np.asarray(share, np.float32)
    return np.asarray(a + (b - a) * (share[..., None] if share.ndim else share), np.float32)


def shaded(colour: Array, light: Array) -> Array:
    """Multiply a colour (3,) or colours (…, 3) by a light (…)."""
    return np.asarray(colour * light[..., None], np.float32)


def waves(rng: np.random.Generator, points: Array, frequency: float, count: int = 10) -> Array:
    """Return a random smooth field (P,) of about unit variance at points (3, P).

    `frequency` is in cycles per unit of length; the same generator state gives the same field in space, so a
    fruit turned around keeps its texture.
    """
    directions = rng.normal(size=(count, 3))
    directions *= (rng.uniform(0.6, 1.4, count) / np.linalg.norm(directions, axis=1))[:, None]
    phases = rng.uniform(0, 2 * np.pi, (count, 1)).astype(np.float32)
    angles = (2 * np.pi * frequency * directions).astype(np.float32) @ points + phases
    return np.asarray(np.cos(angles, out=angles).sum(axis=0) * (2 / count) ** 0.5, np.float32)


def grain(rng: np.random.Generator, size: int, cells: float | tuple[float, float], octaves: int = 1) -> Array:
    """Return a random smooth image (size, size) of about unit variance, `cells` random values across.

    `cells` may differ by axis (rows, columns), which draws streaks; each octave doubles it at half the height.
    """
    rows, columns = cells if isinstance(cells, tuple) else (cells, cells)
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        shape = (max(2, round(rows * 2**octave)), max(2, round(columns * 2**octave)))
        coarse = rng.standard_normal(shape, np.float32)
        total += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(0.5**octave)
    return total


def blur(image: Array, sigma: float) -> Array:
    """Blur by a Gaussian of `sigma` pixels; nothing happens below 0.15."""
    return image if sigma < 0.15 else cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False)


def pick(rng: np.random.Generator, colours: Sequence[Sequence[float]], jitter: float = 0.12) -> Array:
    """Return one of the display `colours` in linear light (3,), its channels varied by about `jitter`."""
    chosen = linear(colours[int(rng.integers(len(colours)))])
    return chosen * np.exp(rng.normal(0, jitter) + rng.normal(0, jitter / 3, 3)).astype(np.float32)
