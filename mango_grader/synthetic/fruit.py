"""Synthetic mangoes; each has its own random generator, so that the n-th is the same however many are made."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.synthetic.backgrounds import BACKGROUNDS
from mango_grader.synthetic.fields import Array
from mango_grader.synthetic.lesions import Defects, Extent, grow, measure, planned_severity
from mango_grader.synthetic.light import Lamp, compose, photograph, shade
from mango_grader.synthetic.looks import paint
from mango_grader.synthetic.rule import Lesion, grade_of, severity_of
from mango_grader.synthetic.shape import Body, Pose, Surface, make_surface
from mango_grader.synthetic.skin import Skin, Stem, make_skin

DEFAULT_SIZE = 224
_SMALLEST, _LARGEST = 64, 1024


@dataclass(frozen=True)
class Fruit:
    """One image of one synthetic mango, and its true grade and defects; drawn when first asked for.

    Attributes:
        number: of the fruit, from 0.
        view: number of the image of this fruit, from 0.
        seed: of the series.
        background: name in `BACKGROUNDS`.
        size: height and width of the image, in pixels.

    Example:
        ```python
        fruit = Series(seed=7, size=96).at(0)
        print(fruit.grade, fruit.severity, fruit.image.shape)
        ```
    """

    number: int
    view: int
    seed: int
    background: str
    size: int

    @property
    def fruit_id(self) -> str:
        """Name of the fruit, which all its images share."""
        return f"{self.seed}-{self.number + 1:05d}"

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The image, (size, size, 3) uint8 RGB."""
        return self._render(paint(self._skin, self._defects, self._surface))

    @cached_property
    def clean(self) -> NDArray[np.uint8]:
        """The same image without the defects, with the same noise, (size, size, 3) uint8 RGB."""
        return self._render(self._skin)

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """The `Kind` of defect at each pixel, 0 where there is none, (size, size) uint8."""
        return self._defects.mask(self._surface)

    @property
    def outline(self) -> NDArray[np.bool_]:
        """Whether a pixel shows the fruit, (size, size); defects lie inside."""
        return self._surface.alpha >= 0.5

    @cached_property
    def lesions(self) -> tuple[Lesion, ...]:
        """The defects of `mask`, measured."""
        return measure(self.mask, self.length)

    @property
    def grade(self) -> str:
        """The grade of the visible defects by the written rule."""
        return grade_of(self.lesions)

    @property
    def severity(self) -> float:
        """The weighted defect area in thumbs."""
        return severity_of(self.lesions)

    @property
    def length(self) -> float:
        """The true length of the fruit in pixels."""
        return self._surface.length

    def _rng(self, stream: str, *view: int) -> np.random.Generator:
        # Streams of their own keep colour, pose and surroundings independent of the defects.
        return np.random.default_rng([self.seed, self.number, *stream.encode(), *(v + 1 for v in view)])

    def _turned(self, view: int) -> Surface:
        return make_surface(Body.draw(self._rng("body")), Pose.draw(self._rng("pose", view), self.size), self.size)

    @cached_property
    def _surface(self) -> Surface:
        return self._turned(self.view)

    @cached_property
    def _skin(self) -> Skin:
        return make_skin(self._rng("skin"), self._surface)

    @cached_property
    def _defects(self) -> Defects:
        rng = self._rng("defects")
        severity = planned_severity(rng, self.seed, self.number)
        front = self._surface if self.view == 0 else self._turned(0)
        return grow(rng, Extent.of_view(front), severity).on(self._surface.points)

    def _render(self, skin: Skin) -> NDArray[np.uint8]:
        stem, lamp = Stem.draw(self._rng("stem")), Lamp.draw(self._rng("lamp", self.view))
        floor: Array = BACKGROUNDS[self.background](self._rng("scene"), self.size)
        lit = shade(skin, stem, self._surface, lamp)
        return photograph(self._rng("camera", self.view), compose(lit, stem, self._surface, lamp, floor))


@dataclass(frozen=True)
class Series:
    """An endless series of fruit. The n-th image depends on these settings and n alone.

    Attributes:
        seed: 0 or more; another seed gives other fruit.
        size: width and height of the images in pixels, 64..1024.
        backgrounds: names from `BACKGROUNDS`; empty takes all.
        views: how many images in a row show the same fruit, 1 or more.

    Raises:
        UsageError: a setting is out of its range, or there is no such background.

    Example:
        >>> fruit = Series(seed=4, size=64, backgrounds=("belt",)).at(0)
        >>> fruit.image.shape, fruit.background
        ((64, 64, 3), 'belt')
    """

    seed: int
    size: int = DEFAULT_SIZE
    backgrounds: tuple[str, ...] = ()
    views: int = 1

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.backgrounds) - set(BACKGROUNDS)):
            raise UsageError(f"no background is called {', '.join(unknown)}; there are {', '.join(BACKGROUNDS)}")
        if not _SMALLEST <= self.size <= _LARGEST:
            raise UsageError(f"images are {_SMALLEST} to {_LARGEST} pixels a side, not {self.size}")
        if self.seed < 0 or self.views < 1:
            raise UsageError("a seed is 0 or more, and a fruit has at least 1 view")

    def at(self, index: int) -> Fruit:
        """Return image number `index`, from 0."""
        number, view = divmod(index, self.views)
        names = sorted(set(self.backgrounds)) or list(BACKGROUNDS)
        chosen = names[int(np.random.default_rng([self.seed, number, *b"background"]).integers(len(names)))]
        return Fruit(number=number, view=view, seed=self.seed, background=chosen, size=self.size)

    def first(self, count: int) -> Iterator[Fruit]:
        """Yield all images of the first `count` fruit."""
        return map(self.at, range(count * self.views))
