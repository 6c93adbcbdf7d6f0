"""What a tracker is: it follows fruit from frame to frame and says when each has passed the decision line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mango_grader.line.frame import Frame
from mango_grader.line.observations import Blob, Passage, Sighting


@dataclass(frozen=True)
class Update:
    """What one frame brought.

    Attributes:
        sightings: of every fruit that the frame shows, in the order of their numbers.
        passages: of fruit that are over: each fruit has exactly one.
    """

    sightings: tuple[Sighting, ...]
    passages: tuple[Passage, ...]


@runtime_checkable
class Tracker(Protocol):
    """Follows fruit; what it answers depends on the frames so far, their times and their ticks alone."""

    def update(self, frame: Frame, blobs: Sequence[Blob]) -> Update:
        """Take in one frame.

        Args:
            frame: later than all before it.
            blobs: that a finder found in it.
        """

    def close(self) -> tuple[Passage, ...]:
        """Return the passages, as incomplete, of the fruit that the source's end left open."""

    def state(self) -> dict[str, Any]:
        """Return all that it knows as plain JSON values, for a checkpoint."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned; what follows is bit for bit what would have followed then."""
