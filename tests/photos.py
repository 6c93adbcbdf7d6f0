"""Small pictures that differ as photographs do, folders of them, and the real data where it is present."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def photo(seed: int, size: tuple[int, int] = (48, 40), border: int | None = None) -> Image.Image:
    """A smooth random picture of `size` (width, height); `border` paints a frame of that grey level."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    if border is not None:
        pixels = np.asarray(image).copy()
        pixels[:5] = pixels[-5:] = border
        pixels[:, :5] = pixels[:, -5:] = border
        image = Image.fromarray(pixels)
    return image


def write_photo(path: Path, seed: int, **options: object) -> Path:
    """Write `photo(seed)` to `path`, whose ending says the format; return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo(seed).save(path, **options)
    return path


def write_folders(root: Path, counts: Mapping[str, int], seed: int = 0) -> Path:
    """Write `counts[folder]` different photos into each folder of `root`; return `root`."""
    for folder, count in counts.items():
        for _ in range(count):
            seed += 1
            write_photo(root / folder / f"{seed:04d}.png", seed)
    return root


def real_data(name: str) -> Path:
    """The folder of real data called `name`; skips the test where it is absent."""
    home = Path(os.environ.get("MANGO_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (home / name).is_dir():
        pytest.skip(f"no {home / name}")
    return home / name
