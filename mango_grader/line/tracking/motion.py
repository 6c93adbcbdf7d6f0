"""How far the belt has moved between two frames: from an encoder, from its speed, or estimated from the frames."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes
from mango_grader.line.frame import Frame
from mango_grader.line.tracking.estimated import EstimatedMotion
from mango_grader.line.tracking.looks import Look
from mango_grader.line.tracking.track import Track


@runtime_checkable
class BeltMotion(Protocol):
    """Says how far the belt has moved; frames that could not be read are left out, and the next one covers them."""

    def advance(self, frame: Frame, tracks: Sequence[Track], looks: Sequence[Look]) -> float:
        """Return the pixels by which the belt has moved since the frame before; 0 for the first one.

        Args:
            frame: that came last.
            tracks: as they were in the frame before.
            looks: what the frame shows.
        """

    def state(self) -> dict[str, Any]:
        """Return all that it knows as plain JSON values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""


class SpeedMotion:
    """A belt of constant speed.

    Args:
        speed: in pixels per second.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._time: float | None = None

    def advance(self, frame: Frame, tracks: Sequence[Track], looks: Sequence[Look]) -> float:
        """Return the pixels by which the belt has moved since the frame before."""
        seconds = 0.0 if self._time is None else frame.time - self._time
        self._time = frame.time
        return self._speed * seconds

    def state(self) -> dict[str, Any]:
        """Return the time of the last frame."""
        return {"time": self._time}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self._time = state["time"]


class EncoderMotion:
    """A belt whose encoder is read with every frame; where one reading is missing, the next one covers it.

    Args:
        px_per_tick: pixels that the belt moves per tick.
    """

    def __init__(self, px_per_tick: float) -> None:
        self._px_per_tick = px_per_tick
        self._last: tuple[float, float] | None = None  # time and ticks of the last reading
        self._rate = 0.0  # ticks per second
        self._ahead = 0.0  # pixels that were reckoned without a reading since

    def advance(self, frame: Frame, tracks: Sequence[Track], looks: Sequence[Look]) -> float:
        """Return the pixels by which the belt has moved since the frame before.

        Raises:
            UsageError: the first frame has no ticks.
        """
        if self._last is None:
            if frame.ticks is None:
                raise UsageError('belt: motion = "encoder", but the frames carry no ticks')
            self._last = frame.time, frame.ticks
            return 0.0
        time, ticks = self._last
        if frame.ticks is None:
            moved = self._rate * (frame.time - time) * self._px_per_tick - self._ahead
            self._ahead += moved
            return moved
        moved = (frame.ticks - ticks) * self._px_per_tick - self._ahead
        if frame.time > time:
            self._rate = (frame.ticks - ticks) / (frame.time - time)
        self._last, self._ahead = (frame.time, frame.ticks), 0.0
        return moved

    def state(self) -> dict[str, Any]:
        """Return the last reading and what was reckoned since."""
        return {"last": None if self._last is None else list(self._last), "rate": self._rate, "ahead": self._ahead}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        last = state["last"]
        self._last = None if last is None else (last[0], last[1])
        self._rate, self._ahead = state["rate"], state["ahead"]


def make_motion(axes: Axes) -> BeltMotion:
    """Return what the belt's settings say of its motion.

    Args:
        axes: of the camera and the belt.
    """
    belt = axes.belt
    if belt.motion == "encoder" and belt.px_per_tick is not None:
        return EncoderMotion(belt.px_per_tick)
    if belt.motion == "speed" and belt.speed is not None:
        return SpeedMotion(belt.speed)
    return EstimatedMotion(axes)
