"""Synthetic mangoes; each has its own random generator, so that the n-th is the same however many are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.synthetic.backgrounds import BACKGROUNDS
from mango_grader.synthetic.fields import Array
from mango_grader.synthetic.lesions import Defects, draw_severity, grow, measure
from mango_grader.synthetic.light import Lamp, compose, photograph, shade
from mango_grader.synthetic.looks import paint
from mango_grader.synthetic.rule import GRADES, Lesion, grade_of, severity_of
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
        fruit = fruit_at(0, seed=7, size=96)
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
        # Of nine fruit in a row, three are made for each grade, and one of the nine close to a limit of the rule.
        plan = np.random.default_rng([self.seed, self.number // 9, *b"grades"])
        order, near = plan.permutation(9), int(plan.integers(9))
        rng, place = self._rng("defects"), int(order[self.number % 9])
        severity = draw_severity(rng, GRADES[place % 3], place == near)
        front = self._surface if self.view == 0 else self._turned(0)
        return grow(rng, self._surface, front, severity)

    def _render(self, skin: Skin) -> NDArray[np.uint8]:
        stem, lamp = Stem.draw(self._rng("stem")), Lamp.draw(self._rng("lamp", self.view))
        floor: Array = BACKGROUNDS[self.background](self._rng("scene"), self.size)
        lit = shade(skin, stem, self._surface, lamp)
        return photograph(self._rng("camera", self.view), compose(lit, stem, self._surface, lamp, floor))


def fruit_at(
    index: int, seed: int, *, size: int = DEFAULT_SIZE, backgrounds: Sequence[str] = (), views: int = 1
) -> Fruit:
    """Return one image of an endless series.

    Args:
        index: of the image, from 0.
        seed: of the series, 0 or more.
        size: height and width of the image, 64..1024 pixels.
        backgrounds: names in `BACKGROUNDS` to draw from; none are all.
        views: number of images in a row that show the same fruit, 1 or more.

    Raises:
        UsageError: for an unknown background, or a number that is out of range.
    """
    unknown = sorted(set(backgrounds) - set(BACKGROUNDS))
    if unknown:
        raise UsageError(f"no background is called {', '.join(unknown)}; there are {', '.join(BACKGROUNDS)}")
    if not _SMALLEST <= size <= _LARGEST:
        raise UsageError(f"images are {_SMALLEST} to {_LARGEST} pixels a side, not {size}")
    if seed < 0 or views < 1:
        raise UsageError("a seed is 0 or more, and a fruit has at least 1 view")
    number, view = divmod(index, views)
    names = sorted(set(backgrounds)) or list(BACKGROUNDS)
    chosen = names[int(np.random.default_rng([seed, number, *b"background"]).integers(len(names)))]
    return Fruit(number=number, view=view, seed=seed, background=chosen, size=size)


def synthesise(
    count: int, seed: int, *, size: int = DEFAULT_SIZE, backgrounds: Sequence[str] = (), views: int = 1
) -> Iterator[Fruit]:
    """Yield all images of the first fruit of a series.

    Args:
        count: number of fruit.
        seed: of the series, 0 or more.
        size: height and width of the images, 64..1024 pixels.
        backgrounds: names in `BACKGROUNDS` to draw from; none are all.
        views: number of images of each fruit, 1 or more.
    """
    for index in range(count * views):
        yield fruit_at(index, seed, size=size, backgrounds=backgrounds, views=views)
