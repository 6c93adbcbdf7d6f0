"""Tracking: which blobs of successive frames are the same fruit, and when has it passed the decision line?"""

from mango_grader.line.tracking.base import Tracker, Update
from mango_grader.line.tracking.settings import TrackingConfig

__all__ = ["Tracker", "TrackingConfig", "Update"]
