"""How much time grading has: none is counted, or each decision has a deadline, or a log says how far it came."""

from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Protocol

from mango_grader.errors import FormatError
from mango_grader.line.frame import Frame
from mango_grader.line.graders import Graders
from mango_grader.line.grading import Work
from mango_grader.line.log.entries import Worked
from mango_grader.line.log.writing import Tail
from mango_grader.line.sinks.base import Moment

_DRIFT = 1e-4  # by which two clocks may differ, as a share of the time that goes by


class Pace(Protocol):
    """Lets the graders work between two frames."""

    def work(self, graders: Graders, frame: Frame, deciding: bool) -> Worked | None:
        """Let the graders work; return what must be logged, None where nothing depended on a clock.

        Args:
            graders: that have seen the frame.
            frame: the last one.
            deciding: whether fruit must be decided now.
        """


class Unhurried:
    """Lets every fruit be graded as far as the exit policy asks."""

    def work(self, graders: Graders, frame: Frame, deciding: bool) -> None:
        """Let the graders work as long as it takes."""
        graders.work(None)


@dataclass
class LineClock:
    """The clock of the frames, told by the monotonic one of this computer; the wall clock has no part in it.

    The frame with the least delay says how the two lie to each other, give or take a drift of 0.01 %.

    Attributes:
        runs: whether time goes by between frames; otherwise it is always that of the last one.
    """

    runs: bool
    _offset: float | None = None
    _last: float = 0.0
    _ticks: tuple[float, float] | None = None  # of the last frame, and per second

    def arrived(self, frame: Frame) -> None:
        """Note that a frame has come just now.

        Args:
            frame: which one.
        """
        offset = monotonic() - frame.time
        if self._offset is not None:
            offset = min(offset, self._offset + _DRIFT * (frame.time - self._last))
        if frame.ticks is not None:
            known, passed = self._ticks, frame.time - self._last
            rate = (frame.ticks - known[0]) / passed if known is not None and passed > 0 else 0.0
            self._ticks = frame.ticks, rate
        self._offset, self._last = offset, frame.time

    def wait_for(self, frame: Frame) -> None:
        """Return when the time of a frame of a file has come.

        Args:
            frame: which one.
        """
        if self._offset is not None:
            sleep(max(self._offset + frame.time - monotonic(), 0.0))

    def lag(self, frame: Frame) -> float:
        """Return how many seconds ago a frame was taken.

        Args:
            frame: that has arrived.
        """
        return 0.0 if self._offset is None else monotonic() - self._offset - frame.time

    def now(self) -> Moment:
        """Return where the line is; may be asked from any thread."""
        last = self._last if self.runs and self._offset is not None else None
        time = monotonic() - self._offset if self.runs and self._offset is not None else self._last
        ticks = self._ticks
        position = None if ticks is None else ticks[0] + ticks[1] * (time - self._last)
        return Moment(time, position, last)


@dataclass
class Hurried:
    """Keeps deadlines: grading stops when the next frame is due, or when the decisions about this one are.

    Attributes:
        clock: of the frames.
        deadline_s: seconds from a frame to the decisions about the fruit that it shows last.
    """

    clock: LineClock
    deadline_s: float
    _last: float | None = field(default=None, init=False)
    _interval: float | None = field(default=None, init=False)

    def work(self, graders: Graders, frame: Frame, deciding: bool) -> Worked:
        """Let the graders work in the time that there is."""
        if self._last is not None and frame.time > self._last:
            latest = frame.time - self._last
            self._interval = latest if self._interval is None else min(latest, 1.1 * self._interval)
        self._last = frame.time
        times = [one for one in (self._interval, self.deadline_s if deciding else None) if one is not None]
        least = self.deadline_s / 2 if deciding else 0.0  # A line that is behind still looks at what it decides.
        allowance = max(min(times, default=self.deadline_s) - self.clock.lag(frame), least)
        done = graders.work(allowance)
        return Worked(frame.index, self.clock.lag(frame), [work.to_list() for work in done])


@dataclass
class Repeated:
    """Lets the graders do what a log says, and from its end on what another pace allows.

    Attributes:
        tail: of the log.
        then: for frames that the log does not know; None where it must know all.
    """

    tail: Tail
    then: Pace | None

    def work(self, graders: Graders, frame: Frame, deciding: bool) -> Worked | None:
        """Let the graders do what they did."""
        known = self.tail.work(frame.index)
        if known is not None:
            graders.repeat([Work.from_list(rounds) for rounds in known.work])
            return known
        if self.then is None:
            raise FormatError(f"{self.tail.where} does not say how far grading came at frame {frame.index}")
        return self.then.work(graders, frame, deciding)
