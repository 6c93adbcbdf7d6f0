"""The figures of a lot, read from the log of its run."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import FormatError
from mango_grader.line.decision import Decision
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
from mango_grader.line.log.folder import LogFolder
from mango_grader.line.report.notes import read_belt

_ERRORS_SHOWN = 10


@dataclass(frozen=True)
class Share:
    """A share of all fruit that passed, with bounds for the lot that they were drawn from.

    Attributes:
        count: of fruit.
        value: the share, 0..1.
        low: lower end of the 95 % confidence interval.
        high: upper end of the 95 % confidence interval.
    """

    count: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Mark:
    """Where a decided fruit is in the slit scan.

    Attributes:
        sequence: number of its decision.
        frame: index of the frame at which it was decided.
        across: its position across the belt, in pixels.
        grade: None where it has none.
        doubtful: whether a person should look, or there is no grade.
    """

    sequence: int
    frame: int
    across: float
    grade: str | None
    doubtful: bool


@dataclass
class LotFigures:
    """What a log says of the fruit of a lot, and of how the line ran; see `read_lot`.

    Attributes:
        started: the first entry of the log.
        fruit: number of fruit that passed the decision line.
        by_grade: number of them by grade; None is fruit without one.
        by_outlet: number of them by outlet; None is none.
        by_lane: number of them by lane.
        by_exit: number of views by the exit that they reached.
        views: number of fruit by number of views.
        review: fruit that a person should look at.
        late: fruit that were decided too late for their outlet.
        incomplete: fruit that the end of the source left open.
        at_start: fruit that were beyond the decision line in the first frame.
        times: seconds at which fruit passed, in the order of their decisions.
        grades: their grades.
        confidences: their confidences, NaN without a grade.
        lags: seconds from a frame to the decisions that it brought, with `--realtime`.
        marks: where fruit are in the slit scan.
        thumbnails: decisions by sequence number, of fruit whose image is kept.
        frames: number of frames that the line looked at; None where the run has not ended.
        last_frame: greatest index of a frame that the log names.
        counts: what happened to the frames, as in `SourceCounts`, over all processes of the run.
        unreadable: number of frames that could not be read.
        errors: the first of their reasons.
        events: what else happened, in sentences.
        gaps: number of interruptions in which fruit may have passed unseen.
        refused: number of new models that could not be used.
        ended: whether the run has ended.
        broken: why the log cannot be read to its end; None if it can.
        seal: hash of the last line that was read.
        belt: times and colours of the belt, CIELAB.
    """

    started: Started
    fruit: int = 0
    by_grade: Counter[str | None] = field(default_factory=Counter)
    by_outlet: Counter[str | None] = field(default_factory=Counter)
    by_lane: Counter[int] = field(default_factory=Counter)
    by_exit: Counter[int] = field(default_factory=Counter)
    views: Counter[int] = field(default_factory=Counter)
    review: int = 0
    late: int = 0
    incomplete: int = 0
    at_start: int = 0
    times: list[float] = field(default_factory=list)
    grades: list[str | None] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    thumbnails: dict[int, Decision] = field(default_factory=dict)
    frames: int | None = None
    last_frame: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    errors: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    gaps: int = 0
    refused: int = 0
    ended: bool = False
    broken: str | None = None
    seal: str = ""
    belt: Sequence[tuple[float, NDArray[np.float64]]] = ()

    def share(self, count: int) -> Share:
        """Return the share of a number of fruit, with its bounds."""
        low, high = wilson(count, self.fruit)
        return Share(count, count / self.fruit if self.fruit else 0.0, low, high)

    @property
    def ungraded(self) -> int:
        """Number of fruit that passed and have no grade."""
        return self.by_grade[None]

    @property
    def lost(self) -> int:
        """Number of frames that were dropped or never received."""
        return self.counts["dropped"] + self.counts["missing"]

    @cached_property
    def seconds(self) -> float:
        """From the first fruit that passed to the last one; 0 for fewer than two."""
        return max(self.times) - min(self.times) if len(self.times) > 1 else 0.0

    @property
    def per_minute(self) -> float | None:
        """Fruit per minute; None where there are too few to tell."""
        return (self.fruit - 1) / self.seconds * 60 if self.seconds > 0 else None

    @cached_property
    def belt_drift(self) -> list[tuple[float, float]]:
        """Times, and how far the belt's colour is from what it was at first: CIE76 ΔE*ab."""
        if not self.belt:
            return []
        first = np.median([lab for _, lab in self.belt[:5]], axis=0)
        return [(time, float(np.linalg.norm(lab - first))) for time, lab in self.belt]


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the ends of the 95 % confidence interval of a share: Wilson's score interval.

    Args:
        count: of those that have a property.
        total: of all.

    Example:
        >>> [round(end, 3) for end in wilson(8, 10)], wilson(0, 0)
        ([0.49, 0.943], (0.0, 1.0))
    """
    if not total:
        return 0.0, 1.0
    z = 1.959964
    share, extra = count / total, z * z / total
    middle = (share + extra / 2) / (1 + extra)
    reach = z * math.sqrt(share * (1 - share) / total + extra / 4 / total) / (1 + extra)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def read_lot(log: LogFolder) -> LotFigures:
    """Return the figures of a log; a log that is damaged is read up to there, and says so.

    Args:
        log: of a run that has ended, or goes on.

    Raises:
        UsageError: the folder is no log.
        FormatError: its first line is damaged.
    """
    lot = LotFigures(log.started)
    kept = {int(path.stem) for path in log.thumbnails.glob("*.jpg") if path.stem.isdecimal()}
    reading = _Reading(lot, kept)
    try:
        for link, entry in log.entries():
            reading.take(entry)
            lot.seal = link.end.hash
    except FormatError as error:
        lot.broken = str(error)
    reading.close_part()
    lot.belt = read_belt(log)
    return lot


class _Reading:
    """Takes the entries of a log one by one."""

    def __init__(self, lot: LotFigures, kept: set[int]) -> None:
        self._lot, self._kept = lot, kept
        self._part: Mapping[str, int] = {}  # counts of the process that wrote last
        self._worked: Worked | None = None

    def take(self, entry: Entry) -> None:
        lot = self._lot
        match entry:
            case Decided():
                self._decide(entry.decision)
            case Worked():
                self._worked = entry
            case Unreadable():
                lot.unreadable += 1
                if len(lot.errors) < _ERRORS_SHOWN:
                    lot.errors.append(f"frame {entry.frame}{f' ({entry.name})' if entry.name else ''}: {entry.error}")
            case Counted():
                self._part = entry.counts
            case Resumed():
                self.close_part()
                lot.ended = False
                lot.gaps += entry.lost
                gap = "; fruit may have passed unseen before that" if entry.lost else ""
                lot.events.append(f"The run was interrupted and went on at frame {entry.frame}, {entry.created}{gap}.")
            case ModelChanged():
                lot.events.append(f"The model was replaced at frame {entry.frame} by {entry.model[:16]}.")
            case ModelRefused():
                lot.refused += 1
                lot.events.append(f"A new model was refused at frame {entry.frame}: {entry.error}.")
            case Ended():
                lot.ended, lot.frames, self._part = True, entry.frames, entry.counts
        frame = entry.decision.decided_frame if isinstance(entry, Decided) else getattr(entry, "frame", 0)
        lot.last_frame = max(lot.last_frame, frame)

    def close_part(self) -> None:
        """Add the counts of a process, which begin at 0 when a run is resumed."""
        self._lot.counts.update(self._part)
        self._part = {}

    def _decide(self, one: Decision) -> None:
        lot = self._lot
        lot.incomplete += one.status == "incomplete"
        lot.at_start += one.status == "present at start"
        if not one.counted:
            return
        lot.fruit += 1
        lot.by_grade[one.grade] += 1
        lot.by_outlet[one.outlet] += 1
        lot.by_lane[one.lane] += 1
        lot.by_exit.update(one.exits)
        lot.views[one.views] += 1
        lot.review += bool(one.review)
        lot.late += bool(one.late)
        lot.times.append(one.decided_time)
        lot.grades.append(one.grade)
        lot.confidences.append(math.nan if one.confidence is None else one.confidence)
        doubtful = bool(one.review) or one.grade is None
        lot.marks.append(Mark(one.sequence, one.decided_frame, one.across, one.grade, doubtful))
        if self._worked is not None and self._worked.frame == one.decided_frame:
            lot.lags.append(self._worked.lag)
        if one.sequence in self._kept:
            lot.thumbnails[one.sequence] = one
