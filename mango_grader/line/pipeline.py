"""What happens to one frame: fruit are found, followed and graded, and those that pass are decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mango_grader.line.config import LineConfig
from mango_grader.line.decision import Decision
from mango_grader.line.frame import Frame
from mango_grader.line.graders import Graders
from mango_grader.line.grading import Answer, FruitGrader
from mango_grader.line.lens import Lens
from mango_grader.line.log.entries import Decided, Worked
from mango_grader.line.observations import Passage, Sighting
from mango_grader.line.outlets import Due, OutletMap
from mango_grader.line.pace import Pace
from mango_grader.line.tracking import make_tracker


@dataclass
class Numbering:
    """How fruit and decisions are numbered.

    Attributes:
        run: unique name of the run.
        lot: name of the lot.
        sequence: number of the last decision.
        fruit_before: number of the last fruit before the tracker began, which counts from 1.
        fruit: greatest number of a fruit that was decided.
    """

    run: str
    lot: str
    sequence: int = 0
    fruit_before: int = 0
    fruit: int = 0

    def next(self, fruit: int) -> tuple[str, int, int]:
        """Return the id and the sequence number of the next decision, and the number of its fruit.

        Args:
            fruit: number of the fruit as the tracker counts.
        """
        self.sequence += 1
        fruit += self.fruit_before
        self.fruit = max(self.fruit, fruit)
        return f"{self.run}-{self.sequence}", self.sequence, fruit


@dataclass(frozen=True)
class Seen:
    """What one frame brought.

    Attributes:
        sightings: of every fruit in it, numbered as in the decisions.
        worked: how far grading came, where that depended on a clock.
        decided: the fruit that passed.
    """

    sightings: tuple[Sighting, ...] = ()
    worked: Worked | None = None
    decided: tuple[Decided, ...] = ()


@dataclass(frozen=True)
class _Now:
    """When a decision is made: seconds on the clock of the frames, and seconds since its frame was taken."""

    time: float
    lag: float


@dataclass(frozen=True)
class _Way:
    """Where a fruit goes, when it is there, and whether the decision came too late for that."""

    outlet: str | None
    due: Due
    late: bool | None


class Pipeline:
    """Turns frames into decisions; what it returns depends on frames, times, ticks and the work that was done alone.

    Args:
        config: of the line.
        classes: of the model.
        graders: of the fruit.
        numbering: of fruit and decisions.
    """

    def __init__(self, config: LineConfig, classes: Sequence[str], graders: Graders, numbering: Numbering) -> None:
        self.graders, self.numbering = graders, numbering
        self._config = config
        self._lens = Lens(config.camera)
        self._finder = config.finder.build(config.axes)
        self._tracker = make_tracker(config.axes, config.tracking)
        self._outlets = OutletMap(config.outlets, classes, config.axes)

    def see(self, frame: Frame, pace: Pace) -> Seen:
        """Take in one frame.

        Args:
            frame: later than all before it, and with an image.
            pace: how long grading may take.
        """
        frame = self._lens.straighten(frame)
        assert frame.image is not None
        update = self._tracker.update(frame, self._finder.find(frame.image))
        self.graders.look(frame, update.sightings)
        worked = pace.work(self.graders, frame, bool(update.passages))
        now = None if worked is None else _Now(frame.time + worked.lag, worked.lag)
        decided = tuple(self._decide(each, now) for each in update.passages)
        before = self.numbering.fruit_before
        shown = (
            tuple(replace(one, fruit=one.fruit + before) for one in update.sightings) if before else update.sightings
        )
        return Seen(shown, worked, decided)

    def close(self) -> tuple[Decided, ...]:
        """Decide, as incomplete, the fruit that the source's end left open."""
        self.graders.work(None)
        return tuple(self._decide(passage, None) for passage in self._tracker.close())

    def state(self) -> dict[str, Any]:
        """Return all that it knows, but for the numbering, as plain JSON values, for a checkpoint."""
        return {"tracker": self._tracker.state(), "graders": self.graders.state()}

    def restore(self, state: Mapping[str, Any], load: Callable[[str], FruitGrader]) -> None:
        """Take over what `state` returned.

        Args:
            state: of an earlier process.
            load: returns the grader of a model, by its digest.
        """
        self._tracker.restore(state["tracker"])
        self.graders.restore(state["graders"], load)

    def _decide(self, passage: Passage, now: _Now | None) -> Decided:
        answer, evidence = self.graders.answer(passage.fruit)
        self.graders.forget(passage.fruit)
        name, sequence, fruit = self.numbering.next(passage.fruit)
        way = self._way(passage, answer, now)
        decision = Decision(
            id=name,
            sequence=sequence,
            lot=self.numbering.lot,
            fruit=fruit,
            lane=passage.lane,
            status=passage.status,
            grade=answer.grade,
            probabilities=answer.probabilities,
            confidence=answer.confidence,
            review=answer.review,
            outlet=way.outlet,
            due_time=way.due.time,
            due_ticks=way.due.ticks,
            late=way.late,
            views=answer.views,
            exits=answer.exits,
            length_mm=answer.length_mm,
            width_mm=answer.width_mm,
            entered_frame=passage.entered_frame,
            decided_frame=passage.passed_frame,
            entered_time=passage.entered_time,
            decided_time=passage.passed_time,
            across=passage.across,
            cost=answer.cost,
            labels=answer.labels,
            error=answer.error,
        )
        return Decided(decision, evidence.to_dict(), answer.digest)

    def _way(self, passage: Passage, answer: Answer, now: _Now | None) -> _Way:
        """Return where a fruit goes; nowhere where it has not passed the decision line under the line's eyes."""
        if passage.status != "decided":
            return _Way(None, Due(), None)
        lane, lot = passage.lane, self.numbering.lot
        outlet = self._outlets.outlet(answer.grade, lane=lane, lot=lot, review=answer.review)
        due = self._outlets.due(outlet, passage)
        if now is None:
            return _Way(outlet, due, None)
        late = now.lag > self._config.grading.deadline_ms / 1e3 or (due.time is not None and now.time >= due.time)
        if late:
            outlet = self._outlets.outlet(answer.grade, lane=lane, lot=lot, review=answer.review, late=True)
            due = self._outlets.due(outlet, passage)
        return _Way(outlet, due, late)
