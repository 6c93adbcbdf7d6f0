"""Sound skin: ground colour, blush, bloom, lenticels, and the stem or its scar."""

from dataclasses import dataclass

import cv2
import numpy as np

from mango_grader.synthetic.fields import Array, blur, grain, linear, mix, smoothstep, waves
from mango_grader.synthetic.shape import Surface


@dataclass(frozen=True)
class _Variety:
    """Display colours of the ground near the beak, near the stem, and of the blush; and how far the blush spreads."""

    beak: tuple[int, int, int]
    stem: tuple[int, int, int]
    blush: tuple[int, int, int]
    spread: tuple[float, float]


_VARIETIES = (
    _Variety((102, 144, 60), (134, 164, 74), (150, 104, 58), (0.0, 0.35)),  # Keitt, green
    _Variety((242, 190, 60), (236, 172, 44), (226, 128, 44), (0.0, 0.5)),  # Ataulfo, yellow
    _Variety((226, 168, 66), (196, 186, 84), (192, 52, 52), (0.45, 1.0)),  # Irwin, red on yellow
    _Variety((140, 164, 74), (206, 160, 70), (180, 58, 62), (0.45, 1.0)),  # Tommy Atkins, dark red
    _Variety((146, 170, 80), (222, 168, 72), (206, 88, 54), (0.2, 0.8)),  # Kent, green to orange
    _Variety((236, 154, 48), (222, 182, 78), (216, 92, 50), (0.1, 0.6)),  # Alphonso, orange
    _Variety((196, 184, 66), (160, 170, 66), (228, 150, 60), (0.0, 0.6)),  # turning, green-yellow
)
_LENTICELS = (214, 196, 120)


@dataclass(frozen=True)
class Skin:
    """Skin at the P pixels of a surface.

    Attributes:
        albedo: (P, 3) linear.
        gloss: (P,) 0..1, from dull to waxed.
        relief: (size, size) height in pixels.
    """

    albedo: Array
    gloss: Array
    relief: Array


def make_skin(rng: np.random.Generator, surface: Surface) -> Skin:
    """Return sound skin; the same state of the generator gives the same fruit in every view.

    Args:
        rng: generator.
        surface: of the view.
    """
    points = surface.points
    variety = _VARIETIES[int(rng.integers(len(_VARIETIES)))]
    vary = np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    soft, mottle, fine = (
        waves(rng, points, frequency, count) for frequency, count in ((0.35, 8), (1.1, 14), (4.0, 28))
    )
    along = smoothstep(-0.9, 0.9, points[0] + 0.35 * soft)
    colour = mix(linear(variety.beak) * vary, linear(variety.stem) * vary, along)
    towards = rng.normal(size=3) * (0.6, 1, 1) + (0.6, 0, 0)
    towards = (towards / np.linalg.norm(towards)).astype(np.float32)
    spread = rng.uniform(*variety.spread)
    sunny = towards @ points + 0.28 * soft + 0.13 * mottle + 0.05 * fine
    blush = smoothstep(1.1 - 2.0 * spread, 2.0 - 2.0 * spread, sunny) * np.float32(min(1.0, 0.5 + spread))
    colour = mix(colour, linear(variety.blush) * vary, blush)
    colour *= (1 + 0.05 * mottle + 0.045 * fine)[:, None]
    bloom = smoothstep(0.2, 1.8, waves(rng, points, 0.8)) * np.float32(rng.uniform(0, 0.22))
    colour = mix(colour, linear((196, 200, 190)), bloom)
    dots = _lenticels(rng, surface)
    colour = mix(colour, linear(_LENTICELS) * vary, dots)
    gloss = np.float32(rng.uniform(0.4, 1.2)) * (1 - 1.8 * bloom) * (1 - 0.5 * dots)
    relief = np.float32(surface.size / 224) * (0.03 * grain(rng, surface.size, 110) + 0.05 * surface.image(fine))
    return Skin(np.clip(colour, 0.004, 1), np.clip(gloss, 0, 1).astype(np.float32), relief)


def _lenticels(rng: np.random.Generator, surface: Surface) -> Array:
    """Return the cover (P,) of pale dots, finer and denser towards the beak."""
    count = int(rng.uniform(1200, 4200))
    seeds = rng.normal(size=(3, count))
    seeds /= np.linalg.norm(seeds, axis=0)
    keep = rng.random(count) < 0.65 - 0.35 * seeds[0]
    strength = rng.uniform(0.2, 1.0, count) ** 1.5 * rng.uniform(0.35, 0.8)
    radius = surface.size / 224 * float(rng.uniform(0.4, 0.62))
    columns, rows, height = surface.place(seeds[:, keep].astype(np.float32))
    pixels = np.round([columns, rows]).astype(int)
    visible = (height > 0.12) & (pixels.min(axis=0) >= 0) & (pixels.max(axis=0) < surface.size)
    dots = np.zeros((surface.size, surface.size), np.float32)
    np.maximum.at(dots, (pixels[1, visible], pixels[0, visible]), strength[keep][visible].astype(np.float32))
    spread = blur(dots, max(0.3, radius)) * np.float32((1 + 4 * radius * radius) * min(1, surface.size / 224) ** 1.5)
    return np.asarray(np.minimum(spread.ravel()[surface.inside], 0.85), np.float32)


@dataclass(frozen=True)
class Stem:
    """The end of the fruit at the stem: a stalk, or only its scar.

    Attributes:
        stalk: length of the stalk in half-lengths of the fruit, 0 if it is broken off.
        width: half-width of the stalk in half-lengths of the fruit.
        lean: in the image plane, in radians.
        colour: (3,) linear.
    """

    stalk: float
    width: float
    lean: float
    colour: Array

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Stem":
        """Draw a stem; two in three have a stalk."""
        colours = ((150, 120, 80), (122, 128, 72), (116, 92, 68))
        return cls(
            stalk=rng.uniform(0.06, 0.2) if rng.random() < 0.66 else 0.0,
            width=rng.uniform(0.028, 0.042),
            lean=rng.uniform(-0.5, 0.5),
            colour=linear(colours[int(rng.integers(len(colours)))]),
        )

    def scar(self, surface: Surface) -> tuple[Array, Array]:
        """Return the cover of the scar (P,) and the depth of the dimple around the stem (P,), both 0..1."""
        away = np.sqrt(np.maximum(2 - 2 * surface.points[0], 0))
        return smoothstep(0.085, 0.05, away), smoothstep(0.42, 0.0, away)

    def draw_stalk(self, surface: Surface) -> tuple[Array, Array]:
        """Return the stalk's cover and a shade across it, both (size, size)."""
        size, unit = surface.size, surface.length / 2
        cover = np.zeros((size, size), np.float32)
        shade = np.full((size, size), 0.8, np.float32)
        if self.stalk == 0:
            return cover, shade
        x, y, height = surface.stem
        cos, sin = np.cos(self.lean), np.sin(self.lean)
        out = np.array([surface.stem_out[0] * cos - surface.stem_out[1] * sin,
                        surface.stem_out[0] * sin + surface.stem_out[1] * cos])  # fmt: skip
        shown = self.stalk * unit * max(0.25, np.sqrt(max(0.0, 1 - height * height)))
        wide = self.width * unit
        side = np.array([-out[1], out[0]])
        foot, tip = np.array([x, y]) - out * 0.06 * unit, np.array([x, y]) + out * shown
        corners = np.stack([foot + side * wide * 1.3, tip + side * wide * 0.85 + out * wide * 0.3,
                            tip - side * wide * 0.85, foot - side * wide * 1.3])  # fmt: skip
        cv2.fillPoly(cover, [np.round(corners * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        rows, columns = np.mgrid[:size, :size].astype(np.float32)
        across = ((columns - x) * side[0] + (rows - y) * side[1]) / wide
        return cover, (0.95 - 0.45 * across.astype(np.float32)).clip(0.3, 1.5)
