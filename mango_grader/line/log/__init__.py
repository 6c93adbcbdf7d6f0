"""The log of a line: every decision with its evidence, in a file that only grows and in which a change shows."""

from mango_grader.line.log.entries import (
    Counted,
    Decided,
    Ended,
    Entry,
    ModelChanged,
    ModelRefused,
    Resumed,
    Started,
    Unreadable,
    Worked,
)
from mango_grader.line.log.folder import Checkpoint, DecisionsInLog, LogFolder, Verified

__all__ = [
    "Checkpoint", "Counted", "Decided", "DecisionsInLog", "Ended", "Entry", "LogFolder", "ModelChanged",
    "ModelRefused", "Resumed", "Started", "Unreadable", "Verified", "Worked",
]  # fmt: skip
