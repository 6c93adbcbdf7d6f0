"""Decisions as a line makes them, and a clock that a test sets."""

import time
from dataclasses import dataclass, field
from typing import Any

from mango_grader.errors import SinkError
from mango_grader.line import Decision, Moment, RunInfo, Sink

CLASSES = ("A", "B", "C")


def decide(sequence: int, **changes: Any) -> Decision:
    """Return a decision about a whole fruit of grade B that goes to the outlet "second", with no due time."""
    values: dict[str, Any] = {
        "id": f"run-{sequence}", "sequence": sequence, "lot": "", "fruit": sequence, "lane": 1 + sequence % 2,
        "status": "decided", "grade": "B", "probabilities": (0.1, 0.8, 0.1), "confidence": 0.8, "review": False,
        "outlet": "second", "due_time": None, "due_ticks": None, "late": False, "views": 4, "exits": (1, 1, 2, 1),
        "length_mm": 101.24, "width_mm": 76.5, "entered_frame": 1, "decided_frame": 9, "entered_time": 0.0,
        "decided_time": 0.0, "across": 50.0,
    }  # fmt: skip
    return Decision(**{**values, **changes})


@dataclass
class Clock:
    """The clock of a line whose frames come in real time, from 0; `stop` and `hang` are a camera that hangs.

    ticks: of the encoder; None without one.
    """

    ticks: float | None = None
    start: float = field(default_factory=time.monotonic)
    stopped: Moment | None = None
    last: float | None = None

    def now(self) -> Moment:
        return self.stopped or Moment(time.monotonic() - self.start, self.ticks, self.last)

    def hang(self) -> None:
        """Let time go on without frames."""
        self.last = self.now().time

    def stop(self) -> None:
        self.stopped = self.now()


def run_of(clock: Clock, folder: object = ".") -> RunInfo:
    return RunInfo("run", CLASSES, str(folder), clock.now)


def deliver(sink: Sink, *decisions: Decision, seconds: float = 10.0) -> None:
    """Deliver as the line does: again and again until nothing is refused."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            sink.deliver(decisions)
            return
        except SinkError:
            assert time.monotonic() < give_up, "refused for too long"
            time.sleep(0.02)
