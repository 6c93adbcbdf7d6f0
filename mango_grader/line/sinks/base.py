"""What a sink is: it takes decisions to where they are needed."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mango_grader.errors import UsageError
from mango_grader.line.decision import Decision
from mango_grader.settings import Section
from mango_grader.text import one_line


@dataclass(frozen=True)
class Moment:
    """Where the line is: a point on the clock of its frames.

    Attributes:
        time: seconds, on the clock of the frames.
        ticks: position of the belt's encoder; None where there is no encoder.
        last: time of the last frame, in seconds; None where the clock stands still between frames.
    """

    time: float
    ticks: float | None = None
    last: float | None = None


@dataclass(frozen=True)
class Figure:
    """A number that says how a line does.

    Attributes:
        name: in words with "_" between them; several figures may share one if their labels differ.
        help: what it is, in a line.
        value: of now.
        rises: whether it only ever rises: a count of something since the run began.
        labels: what tells it from the others of its name.
    """

    name: str
    help: str
    value: float
    rises: bool
    labels: Mapping[str, str] = field(default_factory=dict)


def no_figures() -> Sequence[Figure]:
    """Return nothing."""
    return ()


@dataclass(frozen=True)
class RunInfo:
    """What a sink may need to know of the run whose decisions it gets.

    Attributes:
        run: unique name of the run, with which the ids of its decisions begin.
        classes: of the model, in its order.
        folder: in which a sink may keep its own files, such as its position.
        now: returns where the line is; actuators ask it before they send, from threads of their own.
        figures: returns how the line does: frames, losses, how far each sink has come.
    """

    run: str
    classes: tuple[str, ...]
    folder: str
    now: Callable[[], Moment]
    figures: Callable[[], Sequence[Figure]] = no_figures


def due_passed(decision: Decision, now: Moment) -> bool:
    """Return whether a fruit is at its outlet or beyond it, by ticks where both are known, else by time.

    Args:
        decision: about the fruit; one without a due time never passes.
        now: where the line is.
    """
    if decision.due_ticks is not None and now.ticks is not None:
        return now.ticks >= decision.due_ticks
    return decision.due_time is not None and now.time >= decision.due_time


@runtime_checkable
class Sink(Protocol):
    """Takes decisions in their order; it is called from one thread of its own and may be slow or fail.

    Attributes:
        name: unique among the sinks of a line.
        actuator: whether it moves fruit: such a sink never sends a decision whose due time has passed (`due_passed`),
            but counts it as missed, so that its backlog is gone at once. It connects again by itself, and its decisions
            are tried again soon, without the growing pause of other sinks.
        missed: number of decisions whose due time passed before they could be sent; 0 for other sinks.
    """

    name: str
    actuator: bool
    missed: int

    def open(self, run: RunInfo) -> None:
        """Connect; raise `SinkError` where that fails, and it is tried again later.

        An actuator is opened once. Another sink is closed and opened again after each failure.

        Args:
            run: whose decisions follow.
        """

    def deliver(self, decisions: Sequence[Decision]) -> None:
        """Deliver decisions; raise `SinkError` where that fails, and the same ones are delivered again later.

        When it returns, they have surely arrived; with an actuator, or their due time has passed.

        Args:
            decisions: one or more, in the order of their sequence numbers.
        """

    def position(self) -> int:
        """Return the sequence number of the last decision that has surely arrived, 0 if there is none."""

    def close(self) -> None:
        """Disconnect."""


class SinkSettings(Section):
    """Base of a sink's settings, one `[[sinks]]` of a configuration; its key `kind` names the sink.

    Attributes:
        name: of the sink, unique in its line: letters, digits, "-" and "_". Its position is kept under this name.
    """

    name: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", self.name):
            raise UsageError(f'name must be letters, digits, "-" and "_", not {one_line(self.name)[:40]}')

    def build(self) -> Sink:
        """Return the sink, not yet connected."""
        raise NotImplementedError
