"""Photos of drawn mangoes before a fixed camera: one background in all of them, a fruit wherever it lies."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader.synthetic import BACKGROUNDS, Lamp, Pose, Specimen
from mango_grader.synthetic.fields import encode, to_bytes

SIDE = 224


def background(name: str = "leaves", seed: int = 0) -> NDArray[np.uint8]:
    """Return an image of `SIDE` pixels without a fruit."""
    return to_bytes(encode(BACKGROUNDS[name](np.random.default_rng(seed), SIDE)))


def pose(number: int, photo: int = 0) -> Pose:
    """Return how a fruit lies in one of its photos: near where it lay before, turned and rolled a little."""
    rng = np.random.default_rng([number, photo])
    first = np.random.default_rng([number])
    return Pose(
        x=SIDE * rng.uniform(0.42, 0.58),
        y=SIDE * rng.uniform(0.42, 0.58),
        half_length=SIDE * rng.uniform(0.38, 0.44),
        turn=rng.uniform(-np.pi, np.pi),
        pitch=first.uniform(-0.2, 0.2) + rng.uniform(-0.05, 0.05),
        roll=first.uniform(-np.pi, np.pi) + rng.uniform(-0.05, 0.05),
        mirror=1,
    )


def take_photo(floor: NDArray[np.uint8], number: int, photo: int = 0) -> Image.Image:
    """Return the photo of a fruit on a background."""
    sprite = Specimen(seed=11, number=number).view(pose(number, photo), SIDE, Lamp.above(np.random.default_rng(photo)))
    dark, cover = (part[..., None] / 255 for part in (sprite.shadow, sprite.alpha))
    return Image.fromarray(np.round(floor * dark * (1 - cover) + sprite.colour).clip(0, 255).astype(np.uint8))


def write_scene(folder: Path, floor: NDArray[np.uint8], number: int, photo: int = 0) -> Path:
    """Write a photo to FOLDER/NUMBER-PHOTO.png and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:03d}-{photo}.png"
    take_photo(floor, number, photo).save(path)
    return path
