"""What a finder is: it returns the fruit of one frame."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Axes
from mango_grader.line.observations import Blob
from mango_grader.settings import Section


@runtime_checkable
class Finder(Protocol):
    """Finds fruit in frames; the same frame gives the same blobs, whatever came before it."""

    def find(self, image: NDArray[np.uint8]) -> list[Blob]:
        """Return the blobs of a frame, from the left to the right of the image.

        Args:
            image: (H, W, 3) uint8 RGB.
        """


class FinderSettings(Section):
    """Base of a finder's settings, the section `[finder]` of a configuration; its key `kind` names the finder."""

    def build(self, axes: Axes) -> Finder:
        """Return the finder.

        Args:
            axes: of the camera and the belt.
        """
        raise NotImplementedError
