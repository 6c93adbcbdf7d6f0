"""The shape of a mango: a kidney-shaped solid with shoulders and a beak, and its projection."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.synthetic.fields import Array

THICKNESS = 0.95
"""Thickness of a fruit as a share of its width."""


@dataclass(frozen=True)
class Body:
    """The shape of a fruit; lengths are in half-lengths of the fruit.

    Attributes:
        aspect: half-width.
        egg: how much wider the end at the stem is.
        bend: sagitta of the middle line.
        beak: height of the beak.
        power: of the outline's superellipse; 2 is an ellipse, more is squarer.
    """

    aspect: float
    egg: float
    bend: float
    beak: float
    power: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Body":
        """Draw a shape between a round Tommy Atkins and a slender Ataulfo."""
        return cls(
            aspect=rng.uniform(0.62, 0.88),
            egg=rng.uniform(0.0, 0.15),
            bend=rng.uniform(0.02, 0.16),
            beak=rng.uniform(0.05, 0.22) if rng.random() < 0.65 else 0.0,
            power=rng.uniform(2.0, 2.3),
        )


@dataclass(frozen=True)
class Pose:
    """Position and orientation of the fruit in the image.

    Attributes:
        x: of the middle, in pixels.
        y: of the middle, in pixels.
        half_length: in pixels, before foreshortening.
        turn: in the image plane, in radians.
        pitch: of the stem towards the viewer, in radians.
        roll: about the fruit's own axis, in radians.
        mirror: 1, or -1 for a mirrored fruit.
    """

    x: float
    y: float
    half_length: float
    turn: float
    pitch: float
    roll: float
    mirror: int

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> "Pose":
        """Draw a pose in which the whole fruit lies inside a square image of `size` pixels."""
        half = rng.uniform(0.38, 0.44) * size
        room = max(0.0, size / 2 - 1.12 * half)
        return cls(
            x=size / 2 + rng.uniform(-room, room),
            y=size / 2 + rng.uniform(-room, room),
            half_length=half,
            turn=rng.uniform(-np.pi, np.pi),
            pitch=rng.uniform(-0.15, 0.85),
            roll=rng.uniform(-np.pi, np.pi),
            mirror=1 if rng.random() < 0.5 else -1,
        )


class _Projection:
    """Orthographic projection between directions in the fruit's frame and pixels, with its bend and taper."""

    def __init__(self, body: Body, pose: Pose) -> None:
        cos, sin = np.cos(pose.pitch), np.sin(pose.pitch)
        self.pose = pose
        self.shown = pose.half_length * float(np.hypot(cos, body.aspect * sin))  # foreshortened, in pixels
        self.along = np.array([np.cos(pose.turn), np.sin(pose.turn)])
        self.across = np.array([-np.sin(pose.turn), np.cos(pose.turn)]) * pose.mirror
        self._width = body.aspect * pose.half_length / self.shown
        self._bend = body.bend * float(np.cos(pose.roll) * cos)
        self._egg = body.egg * float(cos)
        pitch = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        cos, sin = np.cos(pose.roll), np.sin(pose.roll)
        self.turned: Array = (np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ pitch).astype(np.float32)

    def flatten(self, columns: Array, rows: Array) -> tuple[Array, Array]:
        """Map pixels to the coordinates in which an egg without beak is the unit disc."""
        dx, dy = (columns - self.pose.x) / self.shown, (rows - self.pose.y) / self.shown
        x = np.asarray(dx * self.along[0] + dy * self.along[1], np.float32)
        y = dx * self.across[0] + dy * self.across[1]
        y = (y - self._bend * (1 - 2 * x * x)) / (self._width * (1 + self._egg * np.clip(x, -1.2, 1.2)))
        return x, np.asarray(y, np.float32)

    def place(self, directions: Array) -> Array:
        """Map directions (3, N) in the fruit's frame to pixel x, pixel y and height, (3, N); behind is negative."""
        x, y, height = self.turned.T @ directions
        y = y * self._width * (1 + self._egg * x) + self._bend * (1 - 2 * x * x)
        offset = (self.along[:, None] * x + self.across[:, None] * y) * self.shown
        return np.asarray([self.pose.x + offset[0], self.pose.y + offset[1], height], np.float32)


@dataclass(frozen=True)
class Surface:
    """The visible skin: P pixels of a square image, in row order.

    Attributes:
        size: height and width of the image, in pixels.
        length: true length of the fruit, in pixels.
        alpha: (size, size) cover of the fruit, 0..1.
        inside: (P,) flat indices of the pixels.
        points: (3, P) unit directions in the fruit's own frame, with the stem at (1, 0, 0).
        normals: (3, P) unit normals: x right, y down, z to the viewer.
        view: (3,) direction to the viewer in the fruit's frame.
        place: maps directions (3, N) to pixel x, pixel y, and height towards the viewer, (3, N).
        stem: position of the stem, as `place` returns it.
        stem_out: (2,) unit direction in the image from the middle to the stem.
    """

    size: int
    length: float
    alpha: Array
    inside: NDArray[np.intp]
    points: Array
    normals: Array
    view: Array
    place: Callable[[Array], Array]
    stem: tuple[float, float, float]
    stem_out: tuple[float, float]

    def image(self, values: Array) -> Array:
        """Return an image (size, size) of values (P,), 0 elsewhere."""
        full = np.zeros(self.size * self.size, np.float32)
        full[self.inside] = values
        return full.reshape(self.size, self.size)


def make_surface(body: Body, pose: Pose, size: int) -> Surface:
    """Project a fruit orthographically.

    Args:
        body: shape of the fruit.
        pose: of the fruit.
        size: height and width of the image, in pixels.
    """
    projection = _Projection(body, pose)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    x, y = projection.flatten(columns, rows)
    squared = (np.abs(x) ** body.power + np.abs(y) ** body.power) ** (2 / body.power)
    upright = np.cos(pose.pitch)  # Beak and shoulders show from the side only.
    squared -= body.beak * upright * np.exp(-((x + 0.93) ** 2 + (y + 0.42 * np.cos(pose.roll)) ** 2) / 0.11)
    squared += 0.10 * upright * np.exp(-((x - 1.0) ** 2 + y**2) / 0.04)
    squared = np.maximum(squared, 0).astype(np.float32)
    slope_y, slope_x = np.gradient(squared)
    alpha = np.clip((1 - squared) / np.maximum(np.hypot(slope_x, slope_y), 1e-4) + 0.5, 0, 1)
    inside = np.flatnonzero(alpha > 0.01)
    height = np.sqrt(np.maximum(1 - squared.ravel()[inside], 0))
    seen = _unit(np.stack([x.ravel()[inside], y.ravel()[inside], height]))
    slopes = projection.shown * np.stack([slope_x.ravel()[inside], slope_y.ravel()[inside]])
    stem = projection.place(np.array([[1], [0], [0]], np.float32))[:, 0]
    return Surface(
        size=size,
        length=2 * pose.half_length,
        alpha=alpha.astype(np.float32),
        inside=inside,
        points=projection.turned @ seen,
        normals=_unit(np.concatenate([slopes, 2 * height[None] / (THICKNESS * body.aspect)])),
        view=projection.turned[:, 2],
        place=projection.place,
        stem=(float(stem[0]), float(stem[1]), float(stem[2])),
        stem_out=(float(projection.along[0]), float(projection.along[1])),
    )


def _unit(vectors: Array) -> Array:
    norm = np.sqrt((vectors * vectors).sum(axis=0, keepdims=True))
    return np.asarray(vectors / np.maximum(norm, 1e-6), np.float32)
