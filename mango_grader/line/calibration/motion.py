"""How the belt moves through the image: seen in its texture, and checked against the fruit on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Direction
from mango_grader.line.calibration.footage import Footage
from mango_grader.line.observations import Blob

_PAIRS = 60  # of frames that are compared
_LEAST = 0.12  # mean correlation below which the texture tells no motion
_STILL = 0.35  # pixels of a small image below which nothing has moved
_AS_GOOD = 0.92  # of the best correlation: a pattern that repeats fits as well a period further
_REACH = 0.6  # of a frame: the furthest shift that is looked for
_ALIASES = range(-4, 5)  # periods by which a belt's pattern may mislead
_ENOUGH = 8  # fruit seen in two frames that are worth a check
_MOST_SKEW = 0.3


@dataclass(frozen=True)
class Velocity:
    """How something moves through the image, in pixels per second.

    Attributes:
        x: to the right.
        y: down.
    """

    x: float
    y: float

    @property
    def speed(self) -> float:
        """Pixels per second along the direction."""
        return max(abs(self.x), abs(self.y))

    @property
    def direction(self) -> Direction:
        """The nearest direction of the image."""
        if abs(self.x) >= abs(self.y):
            return "right" if self.x > 0 else "left"
        return "down" if self.y > 0 else "up"

    @property
    def skew(self) -> float:
        """Pixels across the belt for each pixel along it."""
        across = self.y if self.direction in ("right", "left") else self.x
        return across / self.speed if self.speed else 0.0


@dataclass(frozen=True)
class TextureMotion:
    """What the belt's texture says.

    Attributes:
        velocity: of the belt, or that of one of its aliases.
        correlation: how well frames fit when shifted by it, 0..1.
        spread: of the speed over time, as a share of it.
        period: of the belt's pattern along its direction, in pixels; None if it does not repeat.
    """

    velocity: Velocity
    correlation: float
    spread: float
    period: float | None


@dataclass(frozen=True)
class FruitMotion:
    """What fruit say.

    Attributes:
        velocity: that explains most of them.
        pairs: fruit that were seen in a frame and could be seen in the next.
        agreeing: share of them that lie where the velocity says.
        length: of a fruit along the belt, in pixels.
        width: of a fruit across the belt, in pixels.
        across: where their centres lie across the belt, in pixels of the image.
    """

    velocity: Velocity
    pairs: int
    agreeing: float
    length: float
    width: float
    across: tuple[float, ...]


def texture_motion(footage: Footage) -> TextureMotion | None:
    """Return how the texture of the belt moves; None if nothing moves, or nothing is to be seen on it.

    Args:
        footage: frames in their order; what is the same in all of them does not count.
    """
    rest = _moving_part(footage.small)
    gaps = np.diff(footage.times)
    usual = float(np.median(gaps))
    regular = np.flatnonzero(np.abs(gaps - usual) < 0.3 * usual)
    if not len(regular) or usual <= 0:
        return None
    chosen = regular[np.unique(np.linspace(0, len(regular) - 1, _PAIRS).astype(int))]
    surfaces = [_Surface(rest[n], rest[n + 1]) for n in chosen]
    moving = [(one, gaps[n]) for one, n in zip(surfaces, chosen, strict=True) if not one.still]
    if len(moving) < max(2, len(chosen) // 20):
        return None
    mean = _Surface.mean([one for one, _ in moving])
    x, y, height = mean.nearest()
    if height < _LEAST or max(abs(x), abs(y)) < _STILL:
        return None
    # Each pair of frames for itself, near the shift of all: a belt may change its speed.
    own = np.array([(*one.near(x, y)[:2], seconds) for one, seconds in moving])
    vertical = abs(y) > abs(x)
    speeds = own[:, int(vertical)] / own[:, 2]
    along, across = float(np.median(speeds)), float(np.median(own[:, int(not vertical)] / own[:, 2]))
    velocity = Velocity(across, along) if vertical else Velocity(along, across)
    quarter, three = np.percentile(speeds, [25, 75])
    period = _period(rest, vertical)
    return TextureMotion(
        Velocity(velocity.x * footage.scale, velocity.y * footage.scale),
        float(np.clip(height, 0, 1)),
        float(abs((three - quarter) / along)) if along else 1.0,
        None if period is None else period * footage.scale,
    )


def fruit_motion(
    seen: Sequence[Sequence[tuple[float, Sequence[Blob]]]], texture: TextureMotion | None
) -> FruitMotion | None:
    """Return how fruit move; None if too few of them were seen in two frames.

    Args:
        seen: runs of consecutive frames, each a time and the blobs that a finder found.
        texture: what the belt's texture says; its velocity and its aliases are tried first.
    """
    pairs = [
        (later[0] - earlier[0], [blob for blob in earlier[1] if blob.complete], list(later[1]))
        for run in seen
        for earlier, later in pairwise(run)
        if later[0] > earlier[0]
    ]
    pairs = [(seconds, before, after) for seconds, before, after in pairs if before and after]
    if sum(len(before) for _, before, _ in pairs) < _ENOUGH:
        return None
    size = float(np.median([np.sqrt(blob.area) for _, before, _ in pairs for blob in before]))
    seconds = float(np.median([each for each, _, _ in pairs]))
    tried = _candidates(pairs, texture, seconds)
    scores = [_agreeing(pairs, one, size) for one in tried]
    best = int(np.argmax([share + (0.1 if n == 0 and texture else 0.0) for n, share in enumerate(scores)]))
    if scores[best] < 0.3 or tried[best].speed * seconds < 0.02 * size:
        return None
    velocity = _refined(pairs, tried[best], size)
    shown = _moving_blobs(pairs, velocity, size)
    if len(shown) < _ENOUGH // 2:
        return None
    horizontal = velocity.direction in ("right", "left")
    extents = np.array([(blob.box.width, blob.box.height) for blob in shown], float)
    length, width = np.median(extents if horizontal else extents[:, ::-1], axis=0)
    return FruitMotion(
        velocity,
        sum(len(before) for _, before, _ in pairs),
        _agreeing(pairs, velocity, size),
        float(length),
        float(width),
        tuple(round(blob.y if horizontal else blob.x, 1) for blob in shown),
    )


_Pairs = Sequence[tuple[float, Sequence[Blob], Sequence[Blob]]]


def _candidates(pairs: _Pairs, texture: TextureMotion | None, seconds: float) -> list[Velocity]:
    found = []
    if texture is not None:
        own = texture.velocity
        found.append(own)
        step = 0.0 if texture.period is None else texture.period / seconds / own.speed
        found += [Velocity(own.x * (1 + n * step), own.y * (1 + n * step)) for n in _ALIASES if n and step]
    for each, before, after in pairs:
        for one in before:
            like = [other for other in after if 0.6 < other.area / one.area < 1.7]
            votes = [Velocity((other.x - one.x) / each, (other.y - one.y) / each) for other in like]
            found += [vote for vote in votes if abs(vote.skew) < _MOST_SKEW]
    rng = np.random.default_rng(0)
    return found if len(found) < 400 else [*found[:10], *(found[n] for n in rng.choice(len(found), 390, replace=False))]


def _misses(before: Sequence[Blob], after: Sequence[Blob], velocity: Velocity, seconds: float) -> NDArray[np.float64]:
    """Return how far the nearest blob lies from where each fruit should be, as (x, y) in pixels."""
    x = np.subtract.outer([one.x for one in before], [one.x for one in after]) + velocity.x * seconds
    y = np.subtract.outer([one.y for one in before], [one.y for one in after]) + velocity.y * seconds
    nearest = np.argmin(x**2 + y**2, axis=1)
    rows = np.arange(len(before))
    return np.stack([-x[rows, nearest], -y[rows, nearest]], axis=1)


def _agreeing(pairs: _Pairs, velocity: Velocity, size: float) -> float:
    misses = np.concatenate([_misses(before, after, velocity, each) for each, before, after in pairs])
    return float(np.mean(np.exp(-(np.hypot(*misses.T) ** 2) / (2 * (0.08 * size + 1.0) ** 2))))


def _refined(pairs: _Pairs, velocity: Velocity, size: float) -> Velocity:
    rows = np.concatenate([_misses(before, after, velocity, each) / each for each, before, after in pairs])
    near = np.concatenate(
        [np.hypot(*_misses(before, after, velocity, each).T) < 0.2 * size for each, before, after in pairs]
    )
    x, y = np.median(rows[near], axis=0) if near.any() else (0.0, 0.0)
    return Velocity(velocity.x + float(x), velocity.y + float(y))


def _moving_blobs(pairs: _Pairs, velocity: Velocity, size: float) -> list[Blob]:
    found = []
    for seconds, before, after in pairs:
        near = np.hypot(*_misses(before, after, velocity, seconds).T) < 0.15 * size
        found += [blob for blob, one in zip(before, near, strict=True) if one]
    return found


def _moving_part(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return small images without what is the same in all of them, and without changes of the light."""
    values = small.astype(np.float32)
    rest = values - values.mean(0)
    return np.asarray(rest - rest.mean((1, 2), keepdims=True), np.float32)


def _period(rest: NDArray[np.float32], vertical: bool) -> float | None:
    """Return after how many pixels along the belt its texture repeats."""
    chosen = rest[np.unique(np.linspace(0, len(rest) - 1, 20).astype(int))]
    rows = chosen.transpose(0, 2, 1) if vertical else chosen
    count = rows.shape[2]
    spectrum = np.abs(np.fft.rfft(rows - rows.mean(2, keepdims=True), 2 * count, axis=2)) ** 2
    own = np.fft.irfft(spectrum.sum((0, 1)))[: count // 2] / (1 - np.arange(count // 2) / count)
    own /= max(own[0], 1e-9)
    below = np.flatnonzero(own < 0.1)
    if not len(below):
        return None
    rising = own[below[0] :]
    top = int(np.argmax(rising)) + int(below[0])
    # A multiple of the period may be a little higher than the period itself.
    for place in range(int(below[0]) + 1, top):
        if own[place] > 0.85 * own[top] and own[place] >= max(own[place - 1], own[place + 1]):
            top = place
            break
    if own[top] < 0.3 or top + 1 >= len(own):
        return None
    return top + _vertex(own[top - 1], own[top], own[top + 1])


class _Surface:
    """How well two images fit at every shift."""

    def __init__(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> None:
        height, width = first.shape
        shape = (2 * height, 2 * width)
        product = np.fft.irfft2(np.conj(np.fft.rfft2(first, shape)) * np.fft.rfft2(second, shape), shape)
        self._reach = (int(_REACH * height), int(_REACH * width))
        down, right = self._reach
        rows, columns = np.arange(-down, down + 1), np.arange(-right, right + 1)
        overlap = np.outer(1 - np.abs(rows) / height, 1 - np.abs(columns) / width)
        norm = float(np.sqrt((first.astype(float) ** 2).sum() * (second.astype(float) ** 2).sum()))
        self.values = product[np.ix_(rows, columns)] / np.maximum(norm * overlap, 1e-6 * height * width)

    @classmethod
    def mean(cls, surfaces: Sequence["_Surface"]) -> "_Surface":
        """Return the mean of several."""
        found = cls.__new__(cls)
        found._reach = surfaces[0]._reach
        found.values = np.mean([one.values for one in surfaces], axis=0)
        return found

    @property
    def still(self) -> bool:
        """Whether the images fit best where they are."""
        x, y, _ = self.top()
        return max(abs(x), abs(y)) < _STILL

    def top(self) -> tuple[float, float, float]:
        """Return the best shift (x, y), and how well the images fit there."""
        row, column = np.unravel_index(int(np.argmax(self.values)), self.values.shape)
        return self._fraction(int(row), int(column))

    def nearest(self) -> tuple[float, float, float]:
        """Return the shortest shift, other than none, at which the images fit about as well as anywhere."""
        down, right = self._reach
        around = cv2.dilate(self.values, np.ones((3, 3)))
        rows, columns = np.nonzero((self.values >= around) & (self.values > _AS_GOOD * self.values.max()))
        lengths = np.hypot(rows - down, columns - right)
        moved = np.flatnonzero(lengths >= 1)
        if not len(moved):
            return self.top()
        chosen = moved[np.argmin(lengths[moved])]
        return self._fraction(int(rows[chosen]), int(columns[chosen]))

    def near(self, x: float, y: float, radius: int = 3) -> tuple[float, float, float]:
        """Return the best shift near another one, and how well the images fit there."""
        down, right = self._reach
        row, column = round(y) + down, round(x) + right
        top, left = max(row - radius, 0), max(column - radius, 0)
        part = self.values[top : row + radius + 1, left : column + radius + 1]
        found = np.unravel_index(int(np.argmax(part)), part.shape)
        return self._fraction(int(found[0]) + top, int(found[1]) + left)

    def _fraction(self, row: int, column: int) -> tuple[float, float, float]:
        down, right = self._reach
        values = self.values
        y = x = 0.0
        if 0 < row < 2 * down:
            y = _vertex(*values[row - 1 : row + 2, column])
        if 0 < column < 2 * right:
            x = _vertex(*values[row, column - 1 : column + 2])
        return column - right + x, row - down + y, float(values[row, column])


def _vertex(left: float, here: float, right: float) -> float:
    """Return where the parabola through three neighbours has its top, from -0.5 to 0.5 around the middle one."""
    bend = left + right - 2 * here
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
