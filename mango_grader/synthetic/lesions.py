"""Defects on the skin: their kinds, places, shapes and sizes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.synthetic.fields import Array, spread_directions, waves
from mango_grader.synthetic.rule import A_LIMIT, C_LIMIT, GRADES, THUMB_LENGTHS, WEIGHTS, Kind, Lesion, thumb_area
from mango_grader.synthetic.shape import THICKNESS, Body, Surface

_THUMB = THUMB_LENGTHS  # the radius of a thumb in half-lengths of the fruit
_NEARBY = (0.03, 0.18)  # distance of fruit close to a limit, as a share of the limit


def draw_severity(rng: np.random.Generator, grade: str, near: bool) -> float:
    """Draw the severity of a fruit's defects.

    Args:
        rng: generator.
        grade: that the fruit shall have, "A", "B" or "C".
        near: whether the severity is close to a limit of the rule.
    """
    chance, away = rng.random(), rng.uniform(*_NEARBY)
    if grade == "A":
        return A_LIMIT * (1 - away) if near else (0.0 if chance < 0.65 else 0.02 + 0.2 * (chance - 0.65))
    if grade == "B":
        if near:
            return A_LIMIT * (1 + away) if chance < 0.5 else C_LIMIT * (1 - away)
        return 0.5 + 0.18 * chance
    return C_LIMIT * (1 + away) if near else 2.2 + 3.4 * chance**1.5


def planned_severity(rng: np.random.Generator, seed: int, number: int) -> float:
    """Draw the severity of a fruit's defects, so that grades are balanced and some fruit are close to a limit.

    Args:
        rng: generator of this fruit.
        seed: of the series.
        number: of the fruit, from 0.
    """
    # Of nine fruit in a row, three are made for each grade, and one of the nine close to a limit of the rule.
    plan = np.random.default_rng([seed, number // 9, *b"grades"])
    order, near = plan.permutation(9), int(plan.integers(9))
    place = int(order[number % 9])
    return draw_severity(rng, GRADES[place % 3], place == near)


@dataclass(frozen=True)
class Defects:
    """Defects on a surface of P pixels.

    Attributes:
        edges: distance (P,) from the middle of the defects by kind, 1 at their edge.
        texture: (P,) random variation of about unit variance.
    """

    edges: Mapping[Kind, Array]
    texture: Array

    def mask(self, surface: Surface) -> NDArray[np.uint8]:
        """Return the codes of the kinds (size, size) uint8; where two overlap, the one with the larger weight."""
        codes = np.zeros(surface.size * surface.size, np.uint8)
        visible = surface.alpha.ravel()[surface.inside] >= 0.5
        for kind in sorted(self.edges, key=WEIGHTS.__getitem__):
            codes[surface.inside[visible & (self.edges[kind] < 1)]] = kind
        return codes.reshape(surface.size, surface.size)


def measure(mask: NDArray[np.uint8], length: float) -> tuple[Lesion, ...]:
    """Measure defects: one lesion for each kind in a mask.

    Args:
        mask: (H, W) codes of kinds.
        length: of the fruit, in pixels.
    """
    counts = np.bincount(mask.ravel(), minlength=len(Kind) + 1)
    thumb = thumb_area(length)
    return tuple(Lesion(kind, int(counts[kind]), float(counts[kind] / thumb)) for kind in Kind if counts[kind])


@dataclass(frozen=True)
class Extent:
    """The skin on which the severity of a fruit is measured: what one view shows, or all of it.

    Attributes:
        points: (3, N) unit directions in the fruit's own frame.
        areas: (N,) area of skin around each, in any unit.
        thumb: area of a thumb in the same unit.
        view: (3,) direction to the viewer, which defects face; None lets them lie on any side.
        shows_stem: whether the stem is part of it.
    """

    points: Array
    areas: Array
    thumb: float
    view: Array | None
    shows_stem: bool

    @classmethod
    def of_view(cls, surface: Surface) -> "Extent":
        """Return what one view shows."""
        cover = surface.alpha.ravel()[surface.inside] >= 0.5
        areas = cover.astype(np.float32)
        return cls(surface.points, areas, thumb_area(surface.length), surface.view, surface.stem[2] > 0.1)

    @classmethod
    def of_skin(cls, body: Body, samples: int = 6000) -> "Extent":
        """Return the whole skin of a body.

        Args:
            body: shape of the fruit.
            samples: number of points, evenly spread over the directions.
        """
        points = spread_directions(samples)
        # An ellipsoid's area for each piece of solid angle; lengths are in half-lengths, so a thumb has this area.
        flat, thick = body.aspect, THICKNESS * body.aspect
        areas = np.sqrt((flat * thick * points[0]) ** 2 + (thick * points[1]) ** 2 + (flat * points[2]) ** 2)
        return cls(points, areas * np.float32(4 * np.pi / samples), thumb_area(2.0), None, True)


@dataclass(frozen=True)
class Growth:
    """The defects of one fruit, to be shown on any of its surfaces.

    Attributes:
        fields: distance from the middle of the defects by kind, a function of directions.
        scale: distance at which a defect ends.
        texture: state of the generator of their texture.
    """

    fields: Mapping[Kind, "Field"]
    scale: float
    texture: Mapping[str, Any]

    def on(self, points: Array) -> Defects:
        """Return the defects at directions (3, P)."""
        if not self.fields:
            return Defects({}, np.zeros(points.shape[1], np.float32))
        generator = np.random.default_rng()
        generator.bit_generator.state = self.texture
        return Defects(
            {kind: field(points) / np.float32(self.scale) for kind, field in self.fields.items()},
            0.7 * waves(generator, points, 3.0, 18) + 0.7 * waves(generator, points, 8.0, 28),
        )

    def lesions(self, extent: Extent) -> tuple[Lesion, ...]:
        """Return the defects as measured on an extent, without their areas in pixels."""
        kinds = np.zeros(extent.points.shape[1], np.uint8)
        for kind in sorted(self.fields, key=WEIGHTS.__getitem__):
            kinds[self.fields[kind](extent.points) < self.scale] = kind
        areas = np.bincount(kinds, extent.areas, minlength=len(Kind) + 1) / extent.thumb
        return tuple(Lesion(kind, 0, float(areas[kind])) for kind in Kind if areas[kind] > 0)


def grow(rng: np.random.Generator, extent: Extent, severity: float) -> Growth:
    """Draw defects of a given severity.

    Args:
        rng: generator.
        extent: on which the severity is measured.
        severity: 0 or more.
    """
    texture = rng.spawn(1)[0].bit_generator.state
    if severity <= 0:
        return Growth({}, 1.0, texture)
    fields = _draw_fields(rng, extent, severity)
    return Growth(fields, _scale_for(fields, extent, severity), texture)


Field = Callable[[Array], Array]  # points (3, P) -> distances (P,); a defect is where the distance is < a scale


def _draw_fields(rng: np.random.Generator, extent: Extent, severity: float) -> dict[Kind, Field]:
    stem_seen = extent.shows_stem
    # Rot that starts at the stem does not stay small; the other kinds come in every size.
    chances = np.array([0.25, 0.2 * stem_seen, 0.4, (0.35 if severity >= C_LIMIT else 0.06) * stem_seen])
    kinds = rng.choice(np.array(list(Kind)), size=1 + int(rng.random() < 0.2), replace=False, p=chances / chances.sum())
    share = severity / len(kinds)
    return {
        Kind(int(kind)): _MAKERS[Kind(int(kind))](rng, extent.view, share / WEIGHTS[Kind(int(kind))]) for kind in kinds
    }


def _scale_for(fields: Mapping[Kind, Field], extent: Extent, severity: float) -> float:
    """Find by bisection the common scale at which the severity on an extent is `severity`."""
    seen = {kind: field(extent.points) for kind, field in fields.items()}
    weights = np.zeros(extent.points.shape[1])
    low, high = 0.05, 6.0
    for _ in range(14):
        middle = (low * high) ** 0.5
        weights[:] = 0
        for kind in sorted(seen, key=WEIGHTS.__getitem__):
            weights[seen[kind] < middle] = WEIGHTS[kind]
        low, high = (middle, high) if (weights * extent.areas).sum() / extent.thumb < severity else (low, middle)
    return high


def _facing(rng: np.random.Generator, view: Array | None, least: float) -> Array:
    """Draw a direction (3,) that a viewer sees at a cosine of at least `least`, if there is one, away from the stem."""
    while True:
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        if (view is None or direction @ view >= least) and direction[0] < 0.85:
            return direction.astype(np.float32)


def _blob(rng: np.random.Generator, centre: Array, radius: float, roughness: float, stretch: float) -> Field:
    """A patch with a lobed outline: distance from `centre` over its radius in that direction."""
    helper = np.array([0.31, 0.52, 0.8]) if abs(centre[2]) < 0.8 else np.array([0.9, 0.3, 0.1])
    u = np.cross(centre, helper)
    u /= np.linalg.norm(u)
    turn = rng.uniform(0, np.pi)
    v = np.cross(centre, u)
    u, v = (np.cos(turn) * u + np.sin(turn) * v) * stretch, np.cos(turn) * v - np.sin(turn) * u
    orders = np.arange(2, 6, dtype=np.float32)[:, None]
    heights = (rng.normal(0, roughness, 4) / np.arange(2, 6) ** 0.7).astype(np.float32)[:, None]
    phases = rng.uniform(0, 2 * np.pi, (4, 1)).astype(np.float32)
    frame = np.stack([u, v]).astype(np.float32)

    def distance(points: Array) -> Array:
        far = np.full(points.shape[1], 99, np.float32)
        near = np.flatnonzero(centre @ points > 1 - 0.5 * min(1.9, 5 * radius) ** 2)
        across, along = frame @ points[:, near]
        behind = 2 * (centre @ points[:, near] < 0)
        lobes = (heights * np.cos(orders * np.arctan2(along, across) + phases)).sum(axis=0)
        far[near] = (np.hypot(across, along) + behind) / (radius * (1 + np.clip(lobes, -0.6, 0.6)))
        return far

    return distance


def _union(fields: list[Field]) -> Field:
    return lambda points: np.minimum.reduce([field(points) for field in fields])


def _rough(rng: np.random.Generator, field: Field, frequency: float, height: float) -> Field:
    state = rng.spawn(1)[0].bit_generator.state

    def distance(points: Array) -> Array:
        generator = np.random.default_rng()
        generator.bit_generator.state = state
        return field(points) * (1 + np.float32(height) * np.clip(waves(generator, points, frequency, 20), -2, 2))

    return distance


def _anthracnose(rng: np.random.Generator, view: Array | None, thumbs: float) -> Field:
    """Sunken dark spots, singly or in clusters."""
    count = int(np.clip(rng.poisson(0.5 + 2.4 * thumbs * rng.uniform(0.2, 1.6)), 1, 22))
    sizes = np.exp(rng.normal(0, 0.45, count))
    sizes *= _THUMB * np.sqrt(thumbs / (sizes**2).sum())
    hearts = [_facing(rng, view, 0.65) for _ in range(1 + int(rng.random() < 0.4))]
    spots = []
    for size in sizes:
        heart = hearts[int(rng.integers(len(hearts)))]
        centre = heart + rng.normal(0, min(0.35, 0.12 + 0.06 * count), 3) if count > 1 else heart
        centre = (centre / np.linalg.norm(centre)).astype(np.float32)
        spots.append(_blob(rng, centre, float(size), 0.11, rng.uniform(0.75, 1.0)))
    return _rough(rng, _union(spots), 5.0, 0.05)


def _bruise(rng: np.random.Generator, view: Array | None, thumbs: float) -> Field:
    """One or two soft, broad patches."""
    count = 1 + int(rng.random() < 0.3)
    radius = _THUMB * np.sqrt(thumbs / count)
    patches = [_blob(rng, _facing(rng, view, 0.6), radius, 0.12, rng.uniform(0.6, 1.0)) for _ in range(count)]
    return _rough(rng, _union(patches), 2.0, 0.08)


def _stem_end_rot(rng: np.random.Generator, view: Array | None, thumbs: float) -> Field:
    """A dark front that spreads from the stem."""
    centre = np.array([1.0, 0, 0], np.float32)
    blob = _blob(rng, centre, _THUMB * np.sqrt(thumbs), 0.2, rng.uniform(0.8, 1.0))
    return _rough(rng, blob, 3.0, 0.1)


def _sap_burn(rng: np.random.Generator, view: Array | None, thumbs: float) -> Field:
    """Streaks where sap ran down from the stem."""
    middle = rng.uniform(-np.pi, np.pi) if view is None else np.arctan2(view[2], view[1])
    count = int(np.clip(1 + rng.poisson(0.4 + 0.6 * thumbs), 1, 5))
    reach = min(1.0, 0.2 + 0.3 * np.sqrt(thumbs)) * rng.uniform(0.6, 1.2, count)
    width = _THUMB * _THUMB * np.pi * thumbs / (reach.sum() * 1.6)
    widths = width * rng.uniform(0.6, 1.5, count)
    starts = middle + rng.uniform(-0.6, 0.6) + rng.normal(0, 0.35 + 0.06 * count, count)
    bends = rng.normal(0, ((0.22,), (0.04,)), (2, count))

    def distance(points: Array) -> Array:
        polar = np.arccos(np.clip(points[0], -1, 1))
        around = np.arctan2(points[2], points[1])
        best = np.full(points.shape[1], 99, np.float32)
        for start, length, wide, bend, wiggle in zip(starts, reach, widths, *bends, strict=True):
            off = around - start - bend * polar - wiggle * np.sin(6 * polar)
            across = np.abs((off + np.pi) % (2 * np.pi) - np.pi) * np.sin(np.minimum(polar, np.pi / 2))
            along = np.clip((polar - 0.06) / length, 0, None)
            streak = np.hypot(across / (wide * (0.7 + 0.6 * along)), along)
            np.minimum(best, streak.astype(np.float32), out=best)
        return best

    return _rough(rng, distance, 3.0, 0.16)


_MAKERS: dict[Kind, Callable[[np.random.Generator, Array | None, float], Field]] = {
    Kind.ANTHRACNOSE: _anthracnose,
    Kind.BRUISE: _bruise,
    Kind.STEM_END_ROT: _stem_end_rot,
    Kind.SAP_BURN: _sap_burn,
}
