"""Tracking: which blobs of successive frames are the same fruit, and when has it passed the decision line?"""

from mango_grader.line.belt import Axes
from mango_grader.line.tracking.base import Tracker, Update
from mango_grader.line.tracking.settings import TrackingConfig

__all__ = ["Tracker", "TrackingConfig", "Update", "make_tracker"]


def make_tracker(axes: Axes, config: TrackingConfig) -> Tracker:
    """Return the tracker of a line.

    Args:
        axes: of the camera and the belt.
        config: how fruit are followed.
    """
    from mango_grader.line.tracking.tracker import BeltTracker

    return BeltTracker(axes, config)
