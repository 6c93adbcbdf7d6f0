"""What a PLC is told of a fruit and of the line, and the connection over which it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from mango_grader.line.decision import Decision
from mango_grader.line.sinks.base import Moment

SLOTS = 8
"""Results that a PLC can hold before it has taken the first of them."""


class ErrorCode(IntEnum):
    """What is wrong with a line, as the PLC is told.

    Attributes:
        NONE: nothing.
        NO_FRAMES: no frame has come for a while: the camera is gone or the program hangs.
        NOT_ACKNOWLEDGED: the PLC did not acknowledge a result in time.
        TOO_LATE: a decision came when its fruit was at its outlet already.
    """

    NONE = 0
    NO_FRAMES = 1
    NOT_ACKNOWLEDGED = 2
    TOO_LATE = 3


@dataclass(frozen=True)
class Result:
    """What a PLC is told of one fruit: whole numbers that fit into registers.

    Attributes:
        lane: number of the lane, from 1; 0 where the fruit lies in none.
        outlet: number of the outlet in the PLC's own order, from 1; 0 is the PLC's default, the safe one.
        grade: number of the grade in the model's order, from 1; 0 without a grade.
        review: whether a person should look.
        late: whether the decision was made too late, and the fruit goes to the outlet for those.
        due_ms: milliseconds from the writing of this result until the fruit is at its outlet; None where not known.
        due_ticks: encoder position at which it is there, modulo 2³²; None without an encoder.
        confidence: probability of the grade in thousandths; 0 without a grade.
        length: longer side of the fruit in tenths of a millimetre; 0 without a scale.
        width: shorter side of the fruit in tenths of a millimetre; 0 without a scale.
        views: number of frames that were looked at.
    """

    lane: int
    outlet: int
    grade: int
    review: bool
    late: bool
    due_ms: int | None
    due_ticks: int | None
    confidence: int
    length: int
    width: int
    views: int


@dataclass(frozen=True)
class LineStatus:
    """What a PLC is told of the line with each heartbeat.

    Attributes:
        heartbeat: counts up with each heartbeat and begins again at 0 after 65,535.
        ready: whether frames come and results are sent; the PLC trusts results only while it is true.
        overrun: whether a decision came too late within the last two seconds.
        error: what is wrong.
        sequence: number of the last result that was written; 0 before the first.
        missed: decisions of this run that were not sent because their fruit was at its outlet already.
    """

    heartbeat: int
    ready: bool
    overrun: bool
    error: ErrorCode
    sequence: int
    missed: int


class Port(Protocol):
    """The connection to a PLC; each call raises `SinkError` where it fails, and is given up after a time-out."""

    async def connect(self) -> None:
        """Connect."""

    async def write_results(self, results: Sequence[Result]) -> None:
        """Write results into the slots from 0 up, at most `SLOTS`."""

    async def write_sequences(self, sequences: Sequence[int]) -> None:
        """Write the sequence numbers of all slots, 0 for an empty one."""

    async def read_acknowledgements(self) -> list[int]:
        """Return the acknowledgements of all slots."""

    async def write_status(self, status: LineStatus) -> None:
        """Write what the line does."""

    async def close(self) -> None:
        """Disconnect, whatever state the connection is in."""


def to_result(decision: Decision, now: Moment, outlets: Sequence[str], classes: Sequence[str]) -> Result:
    """Return what a PLC is told of a decision.

    Args:
        decision: about one fruit.
        now: when it is written.
        outlets: names of the outlets in the PLC's order, from number 1.
        classes: of the model, in its order.
    """
    due = decision.due_time
    numbers: Mapping[str, int] = {name: n for n, name in enumerate(outlets, 1)}
    grades: Mapping[str, int] = {name: n for n, name in enumerate(classes, 1)}
    return Result(
        lane=decision.lane,
        outlet=numbers.get(decision.outlet or "", 0),
        grade=grades.get(decision.grade or "", 0),
        review=bool(decision.review),
        late=bool(decision.late),
        due_ms=None if due is None else min(max(int(1000 * (due - now.time)), 0), 2**32 - 1),
        due_ticks=None if decision.due_ticks is None else round(decision.due_ticks) % 2**32,
        confidence=round(1000 * (decision.confidence or 0)),
        length=_tenths(decision.length_mm),
        width=_tenths(decision.width_mm),
        views=min(decision.views, 65535),
    )


def _tenths(millimetres: float | None) -> int:
    return min(round(10 * (millimetres or 0)), 65535)
