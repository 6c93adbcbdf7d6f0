"""Tiny images and tiny runs."""

from pathlib import Path

import numpy as np
from PIL import Image

TINY = (
    "space.depth=3", "space.channels=8", "space.stem_channels=8", "space.reduce_at=2,3", "space.exits=1,3",
    "space.kernels=3,5", "space.dilations=[1]", "method.epochs=3", "method.steps=4", "method.paths=2",
    "method.samples=3", "train.epochs=4", "train.batch_size=8", "search.batch_size=8",
    "search.shortlist.epochs=1",
)  # fmt: skip
"""Settings with which a whole search takes seconds."""


def write_fruit(folder: Path, per_class: int = 15, size: int = 24, seed: int = 0) -> Path:
    """Write class folders "green", "red" and "yellow" of noisy images that colour tells apart."""
    rng = np.random.default_rng(seed)
    for name, colour in {"green": (60, 150, 60), "red": (170, 50, 50), "yellow": (180, 170, 40)}.items():
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            # Smooth random shapes: no two images are near-duplicates of one another.
            coarse = rng.integers(0, 90, (4, 4, 3)).astype(np.uint8)
            texture = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), dtype=int)
            pixels = np.clip(np.array(colour) - 45 + texture, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.png")
    return folder
