"""The finder for singulated fruit: a camera above one cup sees one fruit in each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Axes
from mango_grader.line.finders.base import FinderSettings
from mango_grader.line.observations import Blob, Box


@dataclass(frozen=True)
class WholeFrame(FinderSettings):
    """Every frame is one fruit."""

    def build(self, axes: Axes) -> "WholeFrameFinder":
        """Return the finder."""
        return WholeFrameFinder()


class WholeFrameFinder:
    """Returns one blob as large as the frame."""

    def find(self, image: NDArray[np.uint8]) -> list[Blob]:
        """Return one complete blob as large as the frame."""
        height, width = image.shape[:2]
        mask = np.ones((height, width), bool)
        return [Blob(Box(0, 0, width, height), mask, (width - 1) / 2, (height - 1) / 2, complete=True)]
