"""Images of the things on the simulated belt, drawn once for each side that is seen."""

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil, pi
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.simulator.settings import SimulatorSettings
from mango_grader.line.simulator.traffic import Item
from mango_grader.synthetic import Lamp, Sprite
from mango_grader.synthetic.fields import blur, display_factor, encode, pick, shaded, smoothstep, to_bytes, waves
from mango_grader.synthetic.light import shadow

_KEPT = 1500
_QUARTERS = 4  # places of a sprite between two pixels, in each direction


@dataclass(frozen=True, eq=False)
class Layer:
    """A sprite at its place in the frame, ready to be laid on it.

    Attributes:
        left: column of its first pixel; may be outside the frame.
        top: row of its first pixel; may be outside the frame.
        colour: (size, size, 3) uint8, multiplied by its cover.
        left_over: (size, size, 3) uint8, what it leaves of what lies below it, 255 for all.
        shadow: (size, size, 3) uint8, factor of the shadow, 255 for none.
    """

    left: int
    top: int
    colour: NDArray[np.uint8]
    left_over: NDArray[np.uint8]
    shadow: NDArray[np.uint8]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels (size, size) of which it covers at least half."""
        covered: NDArray[np.bool_] = self.left_over[..., 0] < 128
        return covered


class Sprites:
    """Draws things, and remembers those that were drawn last.

    Args:
        settings: of the simulated belt.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._seed, self._steps = settings.seed, settings.roll_steps
        self.lamp = Lamp.above(np.random.default_rng([settings.seed, *b"lamp"]))
        self._lock = Lock()
        self._drawn: OrderedDict[tuple[str, int, int], Sprite] = OrderedDict()

    def step(self, item: Item, moved: float) -> int:
        """Return the number of the side that is seen, 0 to `roll_steps` − 1, at a displacement of the belt."""
        return round(item.angle(moved) / (2 * pi) * self._steps) % self._steps

    def layer(self, item: Item, moved: float, along: float) -> Layer:
        """Return the image of a thing at its place.

        Args:
            item: on the belt.
            moved: displacement of the belt, in pixels.
            along: position of its centre along the belt, in pixels.
        """
        sprite = self._sprite(item, self.step(item, moved) if item.kind == "mango" else 0)
        middle = (len(sprite.alpha) - 1) / 2
        columns, rows = (round((place - middle) * _QUARTERS) for place in (along, item.across))
        left, top = columns // _QUARTERS, rows // _QUARTERS
        shift = np.array([[1, 0, columns % _QUARTERS / _QUARTERS], [0, 1, rows % _QUARTERS / _QUARTERS]], np.float32)
        size = sprite.alpha.shape[::-1]
        pixels = np.dstack([sprite.colour, 255 - sprite.alpha])
        placed = np.asarray(cv2.warpAffine(pixels, shift, size, borderValue=(0, 0, 0, 255)), np.uint8)
        shade = np.asarray(cv2.warpAffine(sprite.shadow, shift, size, borderValue=255), np.uint8)
        return Layer(
            left=left,
            top=top,
            colour=np.ascontiguousarray(placed[..., :3]),
            left_over=np.repeat(placed[..., 3:], 3, axis=2),
            shadow=np.repeat(shade[..., None], 3, axis=2),
        )

    def _sprite(self, item: Item, step: int) -> Sprite:
        key = (item.kind, item.number, step)
        with self._lock:
            found = self._drawn.get(key)
        if found is None:
            found = self._draw(item, step)  # Two threads may draw the same, rather than wait for each other.
            with self._lock:
                self._drawn[key] = found
                if len(self._drawn) > _KEPT:
                    self._drawn.popitem(last=False)
        return found

    def _draw(self, item: Item, step: int) -> Sprite:
        if item.kind != "mango":
            return _foreign(np.random.default_rng([self._seed, item.number, *b"foreign"]), item, self.lamp)
        size = ceil(2.7 * item.half_length)
        return item.specimen(self._seed).view(item.pose(2 * pi * step / self._steps, size), size, self.lamp)


def _foreign(rng: np.random.Generator, item: Item, lamp: Lamp) -> Sprite:
    """Return a leaf, a stone or a sticker."""
    size = ceil(2.9 * item.half_length)
    rows, columns = (np.mgrid[:size, :size].astype(np.float32) - (size - 1) / 2) / np.float32(item.half_length)
    cos, sin = np.float32(np.cos(item.turn)), np.float32(np.sin(item.turn))
    x, y = columns * cos + rows * sin, rows * cos - columns * sin
    points = np.stack([x.ravel(), y.ravel(), np.zeros(size * size, np.float32)])
    rough = waves(rng, points, 0.6, 8).reshape(size, size)
    if item.kind == "leaf":
        inside = 1 - np.abs(y - 0.12 * (1 - x * x)) / np.maximum(0.42 * (1 - x * x), 1e-3) - (np.abs(x) > 1) * 9
        vein = np.exp(-((y - 0.12 * (1 - x * x)) ** 2) / 0.002)
        colour = pick(rng, ((92, 130, 62), (122, 132, 64), (142, 112, 60)))
        light = 0.8 + 0.15 * (y > 0.12 * (1 - x * x)) + 0.35 * vein + 0.06 * rough
    elif item.kind == "stone":
        inside = 1 - np.hypot(x, y / 0.75) * (1 + 0.08 * rough)
        colour = pick(rng, ((128, 124, 116), (152, 140, 122), (96, 96, 98)))
        light = 0.75 - 0.25 * (lamp.towards[0] * -columns + lamp.towards[1] * -rows) + 0.12 * rough
    else:
        inside = 1 - np.hypot(x, y)
        colour = pick(rng, ((226, 224, 216), (212, 60, 52), (238, 206, 60)))
        light = 0.95 - 0.5 * (np.abs(np.hypot(x, y) - 0.7) < 0.08)
    alpha = smoothstep(0.0, 0.1, np.asarray(inside, np.float32))
    lit = encode(shaded(colour * (lamp.colour + lamp.ambient), np.asarray(light, np.float32)))
    dark = display_factor(shadow(alpha, item.half_length * 0.5, lamp))
    if item.kind == "sticker":
        dark = np.ones_like(alpha)
    return Sprite(to_bytes(blur(lit, 0.5) * alpha[..., None]), to_bytes(alpha), to_bytes(dark))
