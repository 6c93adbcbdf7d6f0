"""The image of one fruit, cut from a frame: the same for training crops and for grading on the line."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.observations import Blob
from mango_grader.ranges import NotNegative
from mango_grader.settings import Section

FILL = 114
"""Grey level of what lies beyond the frame, or beyond the fruit with background = "fill"; as in `Preprocess`."""


@dataclass(frozen=True)
class CropConfig(Section):
    """How the image of one fruit is cut from a frame.

    Attributes:
        margin: added on each side of the fruit's box, as a share of the box's longer side.
        background: "keep" leaves belt and neighbours as they are; "fill" paints everything but the fruit grey.
    """

    margin: NotNegative = 0.08
    background: Literal["keep", "fill"] = "fill"


def cut(image: NDArray[np.uint8], blob: Blob, config: CropConfig) -> NDArray[np.uint8]:
    """Return the image of one fruit, (h, w, 3) uint8 RGB.

    Args:
        image: (H, W, 3) uint8 RGB, the whole frame.
        blob: that the finder found in it.
        config: how to cut.
    """
    box = blob.box
    margin = round(config.margin * max(box.width, box.height))
    crop = np.full((box.height + 2 * margin, box.width + 2 * margin, 3), FILL, np.uint8)
    left, top = box.left - margin, box.top - margin
    low_x, low_y = max(left, 0), max(top, 0)
    part = image[low_y : box.bottom + margin, low_x : box.right + margin]
    if config.background == "keep":
        crop[low_y - top : low_y - top + len(part), low_x - left : low_x - left + part.shape[1]] = part
    else:
        inside = crop[margin : margin + box.height, margin : margin + box.width]
        inside[blob.mask] = image[box.top : box.bottom, box.left : box.right][blob.mask]
    return crop
