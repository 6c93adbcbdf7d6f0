"""Whole mangoes: graded by the defects on all of their skin, and drawn from any side without a background."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango_grader.synthetic.fields import display_factor, encode, to_bytes
from mango_grader.synthetic.lesions import Extent, Growth, grow, planned_severity
from mango_grader.synthetic.light import Lamp, shade, shadow
from mango_grader.synthetic.looks import paint
from mango_grader.synthetic.rule import Lesion, grade_of, severity_of
from mango_grader.synthetic.shape import Body, Pose, make_surface
from mango_grader.synthetic.skin import Stem, make_skin


@dataclass(frozen=True, eq=False)
class Sprite:
    """One view of a fruit, to be laid on any background.

    Attributes:
        colour: (size, size, 3) uint8 display RGB, multiplied by its cover.
        alpha: (size, size) uint8 cover of fruit and stalk, 0..255.
        shadow: (size, size) uint8 display factor that darkens the background, 255 for none.
    """

    colour: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    shadow: NDArray[np.uint8]


@dataclass(frozen=True)
class Specimen:
    """One synthetic mango with defects on any of its sides; its grade is the written rule on the whole skin.

    Attributes:
        seed: of the series; another seed gives other fruit.
        number: of the fruit, from 0.

    Example:
        >>> mango = Specimen(seed=4, number=0)
        >>> mango.grade, round(mango.severity, 1)
        ('C', 4.5)
        >>> pose = Pose(x=48, y=48, half_length=36, turn=0.3, pitch=0.1, roll=1.0, mirror=1)
        >>> mango.view(pose, 96, Lamp.above(np.random.default_rng(0))).colour.shape
        (96, 96, 3)
    """

    seed: int
    number: int

    def rng(self, stream: str) -> np.random.Generator:
        """Return a generator of its own for one trait, so that no trait tells another.

        Args:
            stream: name of the trait.
        """
        return np.random.default_rng([self.seed, self.number, *b"specimen", *stream.encode()])

    @cached_property
    def body(self) -> Body:
        """The shape."""
        return Body.draw(self.rng("body"))

    @cached_property
    def lesions(self) -> tuple[Lesion, ...]:
        """The defects on the whole skin; areas in pixels are left out."""
        return self._growth.lesions(self._skin_extent)

    @property
    def grade(self) -> str:
        """The grade by the written rule."""
        return grade_of(self.lesions)

    @property
    def severity(self) -> float:
        """The weighted defect area in thumbs."""
        return severity_of(self.lesions)

    def view(self, pose: Pose, size: int, lamp: Lamp) -> Sprite:
        """Draw the fruit from one side.

        Args:
            pose: of the fruit in the image.
            size: height and width of the image, in pixels.
            lamp: that lights it.
        """
        surface = make_surface(self.body, pose, size)
        stem = Stem.draw(self.rng("stem"))
        skin = paint(make_skin(self.rng("skin"), surface), self._growth.on(surface.points), surface)
        lit = np.zeros((size * size, 3), np.float32)
        lit[surface.inside] = shade(skin, stem, surface, lamp)
        stalk, across = stem.draw_stalk(surface)
        wood = (stem.colour * (lamp.colour * 0.8 + lamp.ambient)) * across[..., None]
        fruit, layers = surface.alpha, (lit.reshape(size, size, 3), wood)
        # Whichever is nearer to the viewer hides the other one.
        shown = (fruit, stalk * (1 - fruit)) if surface.stem[2] < 0.12 else (fruit * (1 - stalk), stalk)
        alpha = shown[0] + shown[1]
        light = layers[0] * shown[0][..., None] + layers[1] * shown[1][..., None]
        colour = encode(np.asarray(light / np.maximum(alpha, 1e-3)[..., None], np.float32))
        colour = colour * alpha[..., None]
        dark = display_factor(shadow(np.maximum(fruit, stalk), pose.half_length, lamp))
        return Sprite(to_bytes(colour), to_bytes(alpha), to_bytes(dark))

    @cached_property
    def _skin_extent(self) -> Extent:
        return Extent.of_skin(self.body)

    @cached_property
    def _growth(self) -> Growth:
        rng = self.rng("defects")
        severity = planned_severity(rng, self.seed, self.number)
        return grow(rng, self._skin_extent, severity)
