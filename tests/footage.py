"""Short footage that tests write: images that differ, each of which tells its number, as files or as a video."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (48, 64)
FPS = 25.0


def footage(count: int, size: tuple[int, int] = SIZE) -> list[NDArray[np.uint8]]:
    """`count` images of `size` (height, width): noise, and a white bar for each bit of the image's number."""
    rng = np.random.default_rng(0)
    images = [rng.integers(40, 90, (*size, 3), dtype=np.uint8) for _ in range(count)]
    for number, image in enumerate(images):
        for bit in range(8):
            image[:24, bit * 8 : bit * 8 + 8] = 255 * (number >> bit & 1)
    return images


def number_of(image: NDArray[np.uint8] | None) -> int:
    """The number of an image of `footage`, also after a lossy codec."""
    assert image is not None
    return sum(1 << bit for bit in range(8) if image[:24, bit * 8 : bit * 8 + 8].mean() > 128)


def write_images(folder: Path, images: Sequence[NDArray[np.uint8]], name: str = "frame_{n:04d}.png") -> Path:
    """Write images into `folder`, by names made of n, their number, and t, their time at `FPS`; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(n=n, t=n / FPS))
    return folder


def write_video(path: Path, images: Sequence[NDArray[np.uint8]], fps: float = FPS, codec: str = "FFV1") -> Path:
    """Write images as a video, lossless unless another codec is asked for; return its path."""
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
