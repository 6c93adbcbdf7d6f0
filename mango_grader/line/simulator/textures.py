"""The simulated belt's surface: a strip that repeats, seen from above, in display colours."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.simulator.settings import SimulatorSettings
from mango_grader.synthetic.fields import Array, encode, linear, mix, pick, shaded, smoothstep, to_bytes

_BELTS = ((70, 112, 168), (58, 66, 84), (96, 102, 112), (206, 208, 206), (62, 96, 146))
_STEEL = (150, 154, 160)
PHASES = 4
"""Number of copies of the strip, each moved on by a fraction of a pixel."""


class Surface:
    """The belt, wherever it has moved to.

    Args:
        settings: of the simulated belt.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._length = settings.length
        pitch = _pitch(settings)
        self._period = round(pitch * math.ceil(1.6 * settings.length / pitch))
        strip = _strip(settings, self._period)
        wide = np.concatenate([strip, strip[:, : settings.length + 4]], axis=1)
        self._phases = [
            np.ascontiguousarray(_moved(wide, phase / PHASES)[:, 2 : 2 + self._period + settings.length])
            for phase in range(PHASES)
        ]

    def at(self, moved: float) -> NDArray[np.uint8]:
        """Return a new image of the belt (across, along, 3) after it has moved by so many pixels."""
        quarters = round(-moved * PHASES) % (self._period * PHASES)
        start, phase = divmod(quarters, PHASES)
        return self._phases[phase][:, start : start + self._length].copy()


def _pitch(settings: SimulatorSettings) -> float:
    return settings.length_px * (0.9 if settings.texture == "rollers" else 0.3)


def _moved(image: NDArray[np.uint8], by: float) -> NDArray[np.uint8]:
    shift = np.array([[1, 0, -by], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(image, shift, image.shape[1::-1], flags=cv2.INTER_CUBIC), np.uint8)


def _grain(rng: np.random.Generator, shape: tuple[int, int], knots: tuple[float, float]) -> Array:
    """Return a smooth random image of about unit variance that goes on at its end where it begins."""
    coarse = rng.standard_normal((max(2, round(knots[0])), max(4, round(knots[1]))), np.float32)
    wrapped = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], axis=1)
    step = shape[1] / coarse.shape[1]
    scaled = cv2.resize(wrapped, (round(wrapped.shape[1] * step), shape[0]), interpolation=cv2.INTER_CUBIC)
    start = round(2 * step)
    return np.asarray(scaled[:, start : start + shape[1]], np.float32)


def _strip(settings: SimulatorSettings, period: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([settings.seed, *b"texture"])
    shape = (settings.across, period)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    colour = pick(rng, _BELTS, 0.06)
    # Wear and stains do not repeat with the pattern, so that its motion can be told from its pitch.
    wear = 0.05 * _grain(rng, shape, (24, period / 6)) + 0.05 * _grain(rng, shape, (5, period / 60))
    stains = smoothstep(1.6, 2.6, _grain(rng, shape, (shape[0] / 40, period / 50)))
    light = 1 + wear - 0.25 * stains
    pitch = _pitch(settings)
    count = round(period / pitch)
    along = (columns / period * count) % 1
    if settings.texture == "ribs":
        light = light * (1 + 0.10 * np.cos(2 * np.pi * along))
        belt = shaded(colour, light)
    elif settings.texture == "mesh":
        odd = np.floor(columns / period * count) % 2
        cell = np.hypot((along - 0.5) / 0.32, ((rows / pitch + 0.5 * odd) % 1 - 0.5) / 0.3)
        hole = smoothstep(1.1, 0.9, cell)
        edge = np.exp(-(((cell - 1.2) / 0.2) ** 2)) * smoothstep(0.2, 0.8, along)
        belt = mix(shaded(colour, light * (1 + 0.18 * edge)), shaded(colour * np.float32(0.22), light), hole)
    elif settings.texture == "rollers":
        place = along * 2 - 1
        height = np.sqrt(np.maximum(1 - (place / 0.9) ** 2, 0))
        shine = 0.35 * np.exp(-((place + 0.2) ** 2) / 0.03)
        steel = shaded(0.5 * linear(_STEEL) + 0.5 * colour, (0.15 + 0.75 * height + shine * height) * light)
        belt = mix(steel, np.broadcast_to(linear((40, 42, 46)), steel.shape), smoothstep(0.84, 0.95, np.abs(place)))
    else:
        belt = shaded(colour, light)
    return to_bytes(encode(belt))
