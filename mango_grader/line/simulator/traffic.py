"""What lies on the simulated belt, and where: lane by lane, one thing after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango_grader.line.simulator.settings import SimulatorSettings
from mango_grader.synthetic import Pose, Specimen

Thing = Literal["mango", "leaf", "stone", "sticker"]
_FOREIGN: tuple[Thing, ...] = ("leaf", "stone", "sticker")
_ROOM = {"leaf": 0.36, "stone": 0.2, "sticker": 0.12}  # radius in lengths of a fruit
_CLEAR = 0.12  # least free room between things that do not touch, in lengths of a fruit


@dataclass(frozen=True)
class Item:
    """One thing on the belt.

    Attributes:
        kind: what it is.
        number: of the fruit in its series, from 0, or of the foreign object.
        lane: from 1.
        offset: displacement of the belt at which its centre would be where the image begins, in pixels.
        across: position of its centre across the belt, in pixels.
        half_length: of the fruit, in pixels; radius of a foreign object.
        half_width: of the fruit, in pixels; radius of a foreign object.
        turn: in the image plane, in radians.
        pitch: of the stem towards the viewer, in radians.
        roll: about its own axis where the image begins, in radians.
        rolling: radians that it rolls for each pixel along the belt.
        wander: pixels by which it has moved along the belt when it leaves the image.
        mirror: 1, or -1 for a mirrored fruit.
        touching: whether it was laid against the one before it.
    """

    kind: Thing
    number: int
    lane: int
    offset: float
    across: float
    half_length: float
    half_width: float
    turn: float
    pitch: float
    roll: float
    rolling: float
    wander: float
    mirror: int
    touching: bool

    def along(self, moved: ArrayLike, length: float) -> NDArray[np.float64]:
        """Return the position of its centre along the belt, in pixels.

        Args:
            moved: displacement of the belt, in pixels.
            length: of a frame along the belt, in pixels.
        """
        ridden = np.asarray(moved, np.float64) - self.offset
        share = np.clip((ridden / length - 0.1) / 0.6, 0, 1)
        return np.asarray(ridden + self.wander * share * share * (3 - 2 * share))

    def angle(self, moved: float) -> float:
        """Return its roll at a displacement of the belt, in radians."""
        return self.roll + self.rolling * (moved - self.offset)

    def specimen(self, seed: int) -> Specimen:
        """Return the fruit itself."""
        return Specimen(seed, self.number)

    def pose(self, roll: float, size: int) -> Pose:
        """Return its pose in the middle of a square image of `size` pixels."""
        middle = (size - 1) / 2
        return Pose(middle, middle, self.half_length, self.turn, self.pitch, roll, self.mirror)

    def when_at(self, place: float, length: float) -> float:
        """Return the displacement of the belt, in pixels, at which its centre is at a place along the belt."""
        low, high = self.offset + place - abs(self.wander), self.offset + place + abs(self.wander)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.along(middle, length) < place else (low, middle)
        return (low + high) / 2


def lay_out(settings: SimulatorSettings) -> list[Item]:
    """Return everything on the belt, in the order of its entry."""
    items = [item for lane in range(settings.lanes) for item in _lane(settings, lane)]
    return sorted(items, key=lambda item: item.offset)


def _lane(settings: SimulatorSettings, lane: int) -> Iterator[Item]:
    """Yield what lies in one lane; fruit number k of lane l is number k · lanes + l of the series."""
    rng = np.random.default_rng([settings.seed, lane, *b"lane"])
    length, room = settings.length_px, settings.lane_width
    start = -0.95 * settings.length if settings.full_at_start else 0.7 * length
    position = start + settings.speed * settings.empty_seconds * (not settings.full_at_start) + rng.uniform(0, length)
    before: Item | None = None
    for number in range(lane, settings.fruit, settings.lanes):
        if rng.random() < settings.foreign:
            thing = _foreign(rng, settings, lane, number)
            position += (_ROOM[thing.kind] + _CLEAR + 0.6) * length
            yield replace(thing, offset=position)
            position += (_ROOM[thing.kind] + _CLEAR + 0.6) * length
            before = None
        new = _fruit(rng, settings, lane, number, calm=before is not None and before.wander != 0)
        touches = before is not None and rng.random() < settings.touching
        gap = _CLEAR * length + rng.exponential(settings.gap * length)
        gap += length * rng.uniform(4, 9) * (rng.random() < settings.stretches)
        if before is None:
            position += gap
        else:
            if touches:
                free = room / 2 - 0.6 * length
                near = before.across + rng.uniform(-0.25, 0.25) * length
                middle = (lane + 0.5) * room
                new = replace(new, across=float(np.clip(near, middle - free, middle + free)), touching=True)
            # Two that come nearer to each other on their way are clear of each other at its end.
            nearer = max(0.0, new.wander - before.wander)
            position += _contact(before, new) + nearer + (0.0 if touches else gap)
        before = replace(new, offset=position)
        yield before


def _fruit(rng: np.random.Generator, settings: SimulatorSettings, lane: int, number: int, calm: bool) -> Item:
    room, length = settings.lane_width, settings.length_px
    free = room / 2 - 0.6 * length
    wanders = rng.random() < settings.wander and not calm
    # Fruit that roll lie across the belt, more or less, with the stem on either side.
    turn = np.pi / 2 * rng.choice([-1, 1]) + float(np.clip(rng.normal(0, 0.4), -1.2, 1.2))
    half_length = float(length / 2 * np.clip(rng.normal(1, 0.07), 0.85, 1.15))
    return Item(
        kind="mango",
        number=number,
        lane=lane + 1,
        offset=0.0,
        across=(lane + 0.5) * room + free * rng.uniform(-1, 1),
        half_length=half_length,
        half_width=half_length * Specimen(settings.seed, number).body.aspect,
        turn=float(turn),
        pitch=rng.uniform(-0.15, 0.3),
        roll=rng.uniform(-np.pi, np.pi),
        rolling=2 * np.pi * rng.uniform(*settings.turns) / settings.length,
        wander=float(np.clip(rng.normal(0, 0.25), -0.45, 0.45)) * length if wanders else 0.0,
        mirror=1 if rng.random() < 0.5 else -1,
        touching=False,
    )


def _foreign(rng: np.random.Generator, settings: SimulatorSettings, lane: int, number: int) -> Item:
    kind = _FOREIGN[int(rng.integers(len(_FOREIGN)))]
    across = (lane + rng.uniform(0.3, 0.7)) * settings.lane_width
    radius = _ROOM[kind] * settings.length_px * rng.uniform(0.8, 1.0)
    turn = rng.uniform(-np.pi, np.pi)
    return Item(kind, number, lane + 1, 0.0, across, radius, radius, turn, 0.0, 0.0, 0.0, 0.0, 1, False)


def _contact(before: Item, after: Item) -> float:
    """Return the distance of two centres along the belt at which their outlines touch, in pixels."""
    rows = before.across + np.linspace(-1, 1, 201) * before.half_length
    distance = _reach(before, rows, -1) + _reach(after, rows, 1)
    return float(np.nanmax(distance, initial=0.5 * before.half_width))


def _reach(item: Item, rows: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return how far an ellipse reaches from its middle, forwards (1) or backwards (-1), at rows; NaN where it is not.

    A point (x, y) of it, along and across the belt, has a x² + 2 b x y + c y² = 1.
    """
    long, short = item.half_length, item.half_width
    cos, sin = np.cos(item.turn), np.sin(item.turn)
    a, c = (cos / long) ** 2 + (sin / short) ** 2, (sin / long) ** 2 + (cos / short) ** 2
    b = cos * sin * (1 / long**2 - 1 / short**2)
    y = rows - item.across
    with np.errstate(invalid="ignore"):
        return np.asarray((np.sqrt((b * y) ** 2 - a * (c * y * y - 1)) - side * b * y) / a)
