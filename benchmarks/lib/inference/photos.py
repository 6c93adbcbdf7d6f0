"""Photos as a camera writes them: drawn mangoes, enlarged, with the noise of a sensor, as JPEG."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mango_grader.synthetic import Series

_SMALLEST, _LARGEST = 64, 1024  # pixels of a drawn mango's side
_NOISE, _QUALITY = 2.5, 92  # standard deviation in grey levels; of the JPEG


@dataclass(frozen=True)
class Photos:
    """A folder of photos of one size, of which few differ: the others are further names of the same files.

    Attributes:
        folder: that holds them.
        count: number of photos.
        width: in pixels.
        height: in pixels.
        different: number of photos that differ.
    """

    folder: Path
    count: int
    width: int
    height: int
    different: int = 20

    def files(self) -> list[str]:
        """Return the paths, sorted; what is missing is written first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = [self.folder / f"{number:06}.jpg" for number in range(self.count)]
        for number, path in enumerate(paths):
            if not path.exists() and number < self.different:
                self._draw(number, path)
            elif not path.exists():
                os.link(paths[number % self.different], path)
        return [str(path) for path in paths]

    @property
    def mean_bytes(self) -> float:
        """Bytes of a photo, on average."""
        return float(np.mean([os.path.getsize(path) for path in self.files()[: self.different]]))  # noqa: PTH202

    def _draw(self, number: int, path: Path) -> None:
        side = max(self.width, self.height)
        fruit = Image.fromarray(Series(seed=0, size=min(max(side, _SMALLEST), _LARGEST)).at(number).image)
        fruit = fruit.resize((side, side), Image.Resampling.BICUBIC)
        left, top = (side - self.width) // 2, (side - self.height) // 2
        pixels = np.asarray(fruit.crop((left, top, left + self.width, top + self.height)), np.float32)
        noise = np.random.default_rng(number).normal(0, _NOISE, (self.height, self.width, 1))
        drawn = Image.fromarray(np.clip(pixels + noise + 0.5, 0, 255).astype(np.uint8))
        drawn.save(path.with_suffix(".part"), "JPEG", quality=_QUALITY)
        path.with_suffix(".part").rename(path)
