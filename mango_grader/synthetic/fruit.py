"""Synthetic mangoes: each from its own seed, so that the n-th is the same however many are made."""

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
    """One picture of one mango, and the truth about it."""

    number: int  # of the fruit, from 0
    view: int  # of its pictures, from 0
    seed: int
    background: str
    size: int

    @property
    def fruit_id(self) -> str:
        """What all the pictures of this fruit share."""
        return f"{self.seed}-{self.number + 1:05d}"

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The picture, (size, size, 3) RGB."""
        return self._render(paint(self._skin, self._defects, self._surface))

    @cached_property
    def clean(self) -> NDArray[np.uint8]:
        """The same picture without defects, noise and all, (size, size, 3) RGB."""
        return self._render(self._skin)

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """The `Kind` of defect at each pixel, 0 where there is none, (size, size)."""
        return self._defects.mask(self._surface)

    @cached_property
    def lesions(self) -> tuple[Lesion, ...]:
        """The defects of `mask`, measured."""
        return measure(self.mask, self.length)

    @property
    def grade(self) -> str:
        """The grade by the written rule, of what this picture shows."""
        return grade_of(self.lesions)

    @property
    def severity(self) -> float:
        """The weighted defect area in thumbs."""
        return severity_of(self.lesions)

    @property
    def length(self) -> float:
        """The fruit's true length in pixels."""
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
        # Of every nine fruit in turn, three are meant for each grade, and one for the neighbourhood of a limit.
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
    """Return picture `index`, from 0, of the endless series that `seed` names; nothing is drawn until asked.

    `backgrounds` are names from `BACKGROUNDS` (none: all); `views` pictures in a row show the same fruit. Raises
    `UsageError` for an unknown background, a size outside 64 to 1024, or a negative seed.
    """
    unknown = sorted(set(backgrounds) - set(BACKGROUNDS))
    if unknown:
        raise UsageError(f"no background is called {', '.join(unknown)}; there are {', '.join(BACKGROUNDS)}")
    if not _SMALLEST <= size <= _LARGEST:
        raise UsageError(f"pictures are {_SMALLEST} to {_LARGEST} pixels a side, not {size}")
    if seed < 0 or views < 1:
        raise UsageError("a seed is 0 or more, and a fruit has at least 1 view")
    number, view = divmod(index, views)
    names = sorted(set(backgrounds)) or list(BACKGROUNDS)
    chosen = names[int(np.random.default_rng([seed, number, *b"background"]).integers(len(names)))]
    return Fruit(number=number, view=view, seed=seed, background=chosen, size=size)


def synthesise(
    count: int, seed: int, *, size: int = DEFAULT_SIZE, backgrounds: Sequence[str] = (), views: int = 1
) -> Iterator[Fruit]:
    """Yield `count` fruit, each in `views` pictures of `size` pixels; see `fruit_at`."""
    for index in range(count * views):
        yield fruit_at(index, seed, size=size, backgrounds=backgrounds, views=views)
