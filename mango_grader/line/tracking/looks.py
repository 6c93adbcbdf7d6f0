"""Blobs in the belt's own terms: where each lies along and across the belt, and how much of it is in view."""

from dataclasses import dataclass

import numpy as np

from mango_grader.line.belt import Axes
from mango_grader.line.observations import Blob

_BORDER = 2.0  # a blob that ends this close to the end of the view, in pixels, may go on beyond it


@dataclass(frozen=True)
class View:
    """The stretch of the belt that the camera and the region of interest show.

    Attributes:
        low: position along the belt at which it begins, in pixels.
        high: position along the belt at which it ends, in pixels.
    """

    low: float
    high: float

    @classmethod
    def of(cls, axes: Axes) -> "View":
        """Return what a camera and the region of interest show."""
        if not axes.belt.roi:
            return cls(0.0, float(axes.length))
        along, _ = axes.place(*np.transpose(axes.belt.roi))
        return cls(max(0.0, float(along.min())), min(float(axes.length), float(along.max())))

    @property
    def length(self) -> float:
        """Pixels from the beginning to the end."""
        return self.high - self.low


@dataclass(frozen=True, eq=False)
class Look:
    """A blob in one frame, in pixels along and across the belt.

    Attributes:
        blob: what the finder found.
        along: position of the fruit's centre along the belt; for a fruit that is only partly in view it is reckoned
            from the edge that is seen and the usual length, and may lie outside the view.
        across: position of its centre across the belt.
        length: extent along the belt; the usual one for a fruit that is partly in view.
        width: extent across the belt.
        area: number of its pixels.
        partial: whether the view's beginning or end cuts it off.
    """

    blob: Blob
    along: float
    across: float
    length: float
    width: float
    area: float
    partial: bool


def look(axes: Axes, view: View, blob: Blob, usual_length: float | None) -> Look:
    """Return a blob in the belt's own terms.

    Args:
        axes: of the camera and the belt.
        view: what is seen of the belt.
        blob: of a finder.
        usual_length: of a fruit along the belt, in pixels; None if it is not known yet.
    """
    box = blob.box
    along, across = (float(value) for value in axes.place(blob.x, blob.y))
    ends, _ = axes.place([box.left, box.right], [box.top, box.bottom])
    back, front = float(ends.min()), float(ends.max())
    horizontal = axes.belt.direction in ("right", "left")
    length, width = (float(box.width), float(box.height)) if horizontal else (float(box.height), float(box.width))
    entering, leaving = back <= view.low + _BORDER, front >= view.high - _BORDER
    partial = not blob.complete and (entering or leaving)
    if partial and usual_length is not None and length < usual_length and entering != leaving:
        along = front - usual_length / 2 if entering else back + usual_length / 2
        length = usual_length
    return Look(blob, along, across, length, width, float(blob.area), partial)
