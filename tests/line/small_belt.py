"""A small belt whose fruit are those of `noisy_fruit`: their images, unchanged, at known places of known frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from noisy_fruit import SIZE, draw_fruit
from numpy.typing import NDArray

from mango_grader.line import Axes, Belt, Blob, Box, Camera, CropConfig, Frame, Sighting

AXES = Axes(Camera(240, 60, mm_per_px=0.5), Belt("right", decision_line=200, entry_line=20))
CROPS = CropConfig(margin=0, background="keep")
STEP = 20  # pixels from frame to frame


@dataclass(frozen=True)
class Look:
    """What the tracker says of one frame."""

    frame: Frame
    sightings: tuple[Sighting, ...]


def sight(frame: Frame, fruit: int, along: float, *, across: float = 30, complete: bool = True) -> Sighting:
    """Return a sighting of a fruit whose centre is there."""
    height, width = SIZE
    left, top = round(along) - width // 2, round(across) - height // 2
    blob = Blob(Box(left, top, left + width, top + height), np.ones(SIZE, bool), along, across, complete)
    return Sighting(fruit, frame.index, frame.time, blob, along, across)


def belt_of(count: int, seed: int = 0, *, views: int = 9, apart: int = 60) -> tuple[list[Look], NDArray[np.int32]]:
    """Return the frames of `count` fruit, one behind the other, and the class of each."""
    drawn = draw_fruit(count, seed, per_fruit=views)
    images = drawn.images.reshape(count, views, *SIZE, 3)
    last = ((count - 1) * apart + AXES.length) // STEP
    looks = []
    for index in range(last + 1):
        frame = Frame(index, index / 10, np.full((60, 240, 3), 114, np.uint8))
        assert frame.image is not None
        sightings = []
        for number in range(count):
            along = index * STEP - number * apart
            if SIZE[1] < along <= AXES.belt.decision_line + STEP:
                sighting = sight(frame, number + 1, along)
                box = sighting.blob.box
                view = (along // STEP - 1) % views
                frame.image[box.top : box.bottom, box.left : box.right] = images[number, view]
                sightings.append(sighting)
        looks.append(Look(frame, tuple(sightings)))
    return looks, drawn.labels[::views]


def passing(look: Look) -> Sequence[int]:
    """Return the fruit that have passed the decision line in this frame."""
    line = AXES.belt.decision_line
    return [each.fruit for each in look.sightings if line <= each.along < line + STEP]
