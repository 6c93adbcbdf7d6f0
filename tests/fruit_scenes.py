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


def spotted(seed: int, width: int = 160) -> Image.Image:
    """Return a quickly drawn skin with spots of its own, 160 pixels high."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (20, width // 8, 3), dtype=np.uint8))
    return coarse.resize((width, 160), Image.Resampling.BICUBIC)


def seen_again(image: Image.Image, angle: float = 35.0, zoom: float = 0.8) -> Image.Image:
    """Return what a second photo shows: turned by `angle` degrees, and smaller."""
    small = image.resize((round(image.width * zoom), round(image.height * zoom)), Image.Resampling.BICUBIC)
    turned = small.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(120, 130, 110))
    left, top = (turned.width - image.width) // 2, (turned.height - image.height) // 2
    return turned.crop((left, top, left + image.width, top + image.height))


def write_spotted(root: Path) -> Path:
    """Write 16 fruit to A/ and B/; A/again.png shows A/0.png again, B/other.png shows A/1.png. Return `root`."""
    for number in range(16):
        path = root / "AB"[number // 8] / f"{number % 8}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        spotted(number).save(path)
    seen_again(spotted(0)).save(root / "A" / "again.png")
    seen_again(spotted(1), -60.0, 0.9).save(root / "B" / "other.png")
    return root
