"""How far a colour is from the belt's colours, looked up in a table."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Gains = tuple[float, float, float]
"""Factors of red, green and blue, as a camera's exposure and white balance have them."""

LIGHT_WEIGHT = 0.35
"""What a unit of lightness counts beside a unit of chroma: shadows and uneven light change lightness above all."""
FAR = 60.0
"""Distances are cut off here, in units of chroma."""
UNIT = FAR / 255
"""What one level of `BeltColours.distances` is worth, in units of chroma."""

# The tables have _LIGHTS × _SIDE × _SIDE cells, of 8 × 1 × 1 units of OpenCV's 8-bit Lab.
_LIGHT_STEP, _SIDE = 8, 128
_LIGHTS = 256 // _LIGHT_STEP
_LIGHT = (np.arange(_LIGHTS, dtype=np.float32) + 0.5) * _LIGHT_STEP / 2.55  # L* of the cells
_CHROMA = np.arange(_SIDE, dtype=np.float32) - _SIDE // 2  # a* or b* of the cells; colours beyond count as the last one
_CELL = np.clip(np.arange(256) - 128 + _SIDE // 2, 0, _SIDE - 1)
_CELLS = tuple(cells.astype(np.int32) for cells in (np.arange(256) // _LIGHT_STEP * _SIDE**2, _CELL * _SIDE, _CELL))
_OFFSET = np.array([16, 0, 0], np.float32)  # L* + 16, a* and b* all grow with the cube root of the light

_BRIGHTER = 1.15  # light on the belt, as a share of the brightest that was learned there
_KERNELS = (3.0, 1.2)  # widths of the density of one colour, to look for the light and to look closer
_CUT_OFF, _BEYOND = 254, (1.04, 1.08)  # channels from here on may have been this much brighter
_WHITE = 250  # from here on in all channels, it may have been cut off in all; noise hides it from smoothed pixels
_OUTLIERS = 1e-3  # density of everything else
_CROWDING = 2.2  # with a gain g of all channels, a volume of Lab has g ** 2.2 of the colours that it had
_ALL, _RED, _BLUE = (1, 1, 1), (1, 0, 0), (0, 0, 1)
_SEARCHES = (  # for each density, in turn: channels, and the factors that are tried on them
    (
        (_ALL, tuple(1.1**step for step in range(-5, 6))),
        (_RED, tuple(1.04**step for step in range(-3, 4))),
        (_BLUE, tuple(1.04**step for step in range(-3, 4))),
    ),
    (
        (_ALL, tuple(1.03**step for step in range(-3, 4))),
        (_RED, tuple(1.013**step for step in range(-3, 4))),
        (_BLUE, tuple(1.013**step for step in range(-3, 4))),
        (_ALL, tuple(1.01**step for step in range(-2, 3))),
        (_RED, tuple(1.007**step for step in range(-3, 4))),
        (_BLUE, tuple(1.007**step for step in range(-3, 4))),
    ),
)


class BeltColours:
    """The colours of a belt, in the light and in the shade.

    Args:
        colours: (L*, a*, b*, share) of the belt, one a row.
        shadow: light in the darkest shadow, as a share of the light beside it.
    """

    def __init__(self, colours: Sequence[Sequence[float]], shadow: float) -> None:
        rows = np.asarray(colours, np.float32).reshape(-1, 4)
        shades = np.cbrt(np.linspace(_BRIGHTER, min(max(shadow, 0.01), 1), 6, dtype=np.float32))
        shaded = (shades[:, None, None] * (rows[:, :3] + _OFFSET) - _OFFSET).reshape(-1, 3)
        nearest = np.full((_LIGHTS, _SIDE, _SIDE), FAR**2, np.float32)
        for colour in shaded:
            np.minimum(nearest, _squared(colour), out=nearest)
        self._distance = np.rint(np.sqrt(nearest) / UNIT).astype(np.uint8).ravel()
        self._densities = tuple(_density(rows, kernel) for kernel in _KERNELS)

    def distances(self, image: NDArray[np.uint8], gains: Gains = (1.0, 1.0, 1.0)) -> NDArray[np.uint8]:
        """Return how far each pixel is from the nearest colour, (H, W) uint8, in units of `UNIT`.

        Args:
            image: (H, W, 3) uint8 RGB.
            gains: with which the belt looks as it was learned.
        """
        found: NDArray[np.uint8] = self._distance[_cells(amplified(image, gains))]
        if min(gains) < 1 and image.max() >= _CUT_OFF:  # the channels of the brightest pixels may have been cut off
            for beyond in _BEYOND:
                np.minimum(found, self._distance[_cells(amplified(image, gains, beyond))], out=found)
            white = cv2.inRange(image, (_WHITE,) * 3, (255,) * 3) > 0
            found[white] = np.minimum(found[white], self._distance[_cells(_before_cut_off(gains))].min())
        return found

    def gains(self, image: NDArray[np.uint8]) -> Gains:
        """Return the gains with which the belt looks most as it was learned.

        Args:
            image: (H, W, 3) uint8 RGB, of which what is not belt hardly matters.
        """
        best: Gains = (1.0, 1.0, 1.0)
        for density, search in zip(self._densities, _SEARCHES, strict=True):
            fits: dict[Gains, float] = {}
            for channels, factors in search:
                choices = [_times(best, channels, factor) for factor in factors]
                fits |= {gains: _fit(image, gains, density) for gains in choices if gains not in fits}
                best = max(choices, key=fits.__getitem__)
        return best


def amplified(image: NDArray[np.uint8], gains: Gains, beyond: float = 1.0) -> NDArray[np.uint8]:
    """Return an image with other gains.

    Args:
        image: (H, W, 3) uint8 RGB.
        gains: of its channels.
        beyond: how much brighter than white it was where it is white.
    """
    values = np.arange(256.0)
    values[_CUT_OFF:] *= beyond
    table = np.clip(np.multiply.outer(values, gains), 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[:, None, :]), np.uint8)


def _before_cut_off(gains: Gains) -> NDArray[np.uint8]:
    """Return what white may have been, (n, 1, 3) RGB: with all channels cut off, nothing is left of a tint."""
    levels = np.multiply.outer((1, *_BEYOND), gains) * 255
    colours = np.stack(np.meshgrid(*levels.T, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    return np.asarray(np.clip(colours, 0, 255).round(), np.uint8)


def _density(rows: NDArray[np.float32], kernel: float) -> NDArray[np.float32]:
    density = np.zeros((_LIGHTS, _SIDE, _SIDE), np.float32)
    for row in rows:
        density += row[3] / rows[:, 3].sum() * np.exp(-_squared(row) / (2 * kernel**2))
    return density.ravel()


def _fit(image: NDArray[np.uint8], gains: Gains, density: NDArray[np.float32]) -> float:
    """Return how likely an image with these gains is, as the mean logarithm over its pixels."""
    looks = amplified(image, gains)
    likely = density[_cells(looks)] * float(np.prod(gains)) ** (_CROWDING / 3)
    if max(gains) > 1 and (cut_off := looks == 255).any():
        # What a gain makes white is not spread by it but heaped up, or a white belt would look best when all is white.
        likely *= np.exp(cut_off @ (np.log(gains) * (-_CROWDING / 3)).astype(np.float32))
    likelihood = np.log(likely + _OUTLIERS)
    # Where the image says little of the light, as on a black belt, it stays as it is.
    return float(likelihood.mean()) - 0.05 * float(np.abs(np.log(gains)).sum())


def _times(gains: Gains, channels: Sequence[int], factor: float) -> Gains:
    red, green, blue = (gain * factor**used for gain, used in zip(gains, channels, strict=True))
    return red, green, blue


def _squared(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared distance of each cell from a colour."""
    chroma = (_CHROMA[:, None] - colour[1]) ** 2 + (_CHROMA - colour[2]) ** 2
    squared: NDArray[np.float32] = ((LIGHT_WEIGHT * (_LIGHT - colour[0])) ** 2)[:, None, None] + chroma
    return squared


def _cells(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    light, a, b = (cells[lab[..., channel]] for channel, cells in enumerate(_CELLS))
    index: NDArray[np.int32] = light + a + b
    return index
