"""The loop of a line: what a frame brings goes to the log first, and then to everybody else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mango_grader.line.decision import Decision
from mango_grader.line.frame import Frame
from mango_grader.line.log.entries import Decided, Entry, ModelChanged, ModelRefused, Unreadable
from mango_grader.line.log.writing import Tail
from mango_grader.line.models import Models, ModelWatch
from mango_grader.line.observations import Sighting
from mango_grader.line.pace import Pace
from mango_grader.line.pipeline import Pipeline
from mango_grader.line.tally import Tally
from mango_grader.runtime.inference.grader import Grader


class Observer(Protocol):
    """Sees what a line sees, after the log has it; it must be quick, for the line waits for it."""

    def see(self, frame: Frame, sightings: Sequence[Sighting], decisions: Sequence[Decision]) -> None:
        """Take in one frame.

        Args:
            frame: with an image.
            sightings: of the fruit that it shows.
            decisions: that it brought.
        """


class Log(Protocol):
    """Takes what happens, and knows what happened before an interruption.

    Attributes:
        tail: entries that the run comes by again.
    """

    tail: Tail

    def put(self, entries: Sequence[Entry], *, sync: bool = True) -> Sequence[Entry]:
        """Add entries; return those that the log did not hold already.

        Args:
            entries: in their order.
            sync: whether to return only when they are on the disk.
        """


@dataclass
class Loop:
    """Takes frames one by one through the pipeline and into the log.

    Attributes:
        pipeline: that turns them into decisions.
        pace: how long grading may take.
        log: that takes all that happens.
        models: of the line.
        tally: of what happened.
        watch: of the file of the model; None where nobody replaces it.
        observers: that see what the line sees.
    """

    pipeline: Pipeline
    pace: Pace
    log: Log
    models: Models
    tally: Tally
    watch: ModelWatch | None = None
    observers: Sequence[Observer] = ()

    def step(self, frame: Frame) -> list[Decision]:
        """Take in one frame; return the decisions that it brought and the log did not hold already.

        Args:
            frame: later than all before it.
        """
        self._change_model(frame.index)
        self.tally.frames += 1
        if frame.image is None:
            self.tally.unreadable += 1
            self.log.put([Unreadable(frame.index, frame.name, frame.error or "it has no image")], sync=False)
            return []
        seen = self.pipeline.see(frame, self.pace)
        worked = [] if seen.worked is None else [seen.worked]
        fresh = self._put([*worked, *seen.decided])
        for observer in self.observers:
            observer.see(frame, seen.sightings, [one.decision for one in seen.decided])
        return fresh

    def close(self) -> list[Decision]:
        """Decide the fruit that the source's end left open; return as `step` does."""
        return self._put(self.pipeline.close())

    def _put(self, entries: Sequence[Entry]) -> list[Decision]:
        decided = [one.decision for one in entries if isinstance(one, Decided)]
        for decision in decided:
            self.tally.add(decision)
        fresh = self.log.put(entries, sync=bool(decided)) if entries else []
        return [one.decision for one in fresh if isinstance(one, Decided)]

    def _change_model(self, frame: int) -> None:
        graders, logged = self.pipeline.graders, self.log.tail.model(frame)
        if logged is not None:
            change: Entry | None = logged
        elif self.watch is not None and not self.log.tail:
            found = self.watch.poll(graders.model)
            if isinstance(found, Grader):
                self.models.keep(found)
                change = ModelChanged(frame, found.bundle.digest)
            else:
                change = None if found is None else ModelRefused(frame, found.error)
        else:
            return
        if isinstance(change, ModelChanged):
            graders.change(change.model, self.models.grader(change.model))
            self.tally.new_models += 1
        elif change is not None:
            self.tally.refused_models += 1
        if change is not None:
            self.log.put([change])
