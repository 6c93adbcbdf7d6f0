"""The views of one fruit: which sightings become views, and how far the model has come with each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Axes
from mango_grader.line.grading.evidence import Evidence
from mango_grader.line.grading.packing import pack, unpack
from mango_grader.line.observations import Sighting
from mango_grader.runtime.inference.in_flight import InFlight


@dataclass(eq=False)
class View:
    """One view of one fruit, and how far the model has come with it.

    Attributes:
        frame: index of the frame that it is from.
        size: longer and shorter side of the fruit in pixels; None where the fruit is not complete.
        batch: of this one view, before its next stage; None once no stage is to follow.
        answers: of the exits that ran, each (C,) calibrated probabilities.
    """

    frame: int
    size: tuple[float, float] | None
    batch: InFlight | None
    answers: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def doubt(self) -> float:
        """One less the confidence of the newest answer; 1 before the first, and where it is not finite."""
        return 1.0 - float(np.nan_to_num(self.answers[-1]).max()) if self.answers else 1.0

    def state(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        batch = self.batch
        return {
            "frame": self.frame,
            "size": self.size,
            "answers": [pack(answer) for answer in self.answers],
            "next": None if batch is None else {name: pack(values) for name, values in batch.state.items()},
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `state`."""
        answers, following = [unpack(answer) for answer in state["answers"]], state["next"]
        batch = None
        if following is not None:
            batch = InFlight(len(answers), {name: unpack(values) for name, values in following.items()})
        return cls(state["frame"], None if state["size"] is None else tuple(state["size"]), batch, answers)


@dataclass(eq=False)
class FruitViews:
    """The views of one fruit.

    Attributes:
        remaining: pixels from its newest sighting to the decision line; negative beyond it.
        views: in the order of their frames.
        taken: numbers of the parts of the belt of which there is a view, see `Places`.
        content: whether the exit policy is content with the fused answers, so that no stage runs until a view joins.
        doubt: one less the confidence of the fused answer, 0..1; 1 without one.
    """

    remaining: float = 0.0
    views: list[View] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    content: bool = False
    doubt: float = 1.0

    @property
    def urgency(self) -> float:
        """How much is to be learnt in how little time: doubt per pixel that remains to the decision line."""
        return self.doubt / max(self.remaining, 1.0)

    def add(self, view: View, part: int) -> None:
        """Take another view; one of a complete fruit replaces those of an incomplete one.

        Args:
            view: of a later frame than all others.
            part: of the belt that it is from, see `Places`.
        """
        if view.size is not None:
            self.views = [each for each in self.views if each.size is not None]
            self.taken.add(part)
        self.views.append(view)
        self.content = False

    def view(self, frame: int) -> View | None:
        """Return the view of a frame; None if there is none."""
        return next((view for view in self.views if view.frame == frame), None)

    def evidence(self, exits: int, classes: int) -> Evidence:
        """Return what is known of the fruit.

        Args:
            exits: number of exits of the model.
            classes: number of its classes.
        """
        probabilities = np.full((exits, len(self.views), classes), np.nan, np.float32)
        for index, view in enumerate(self.views):
            if view.answers:
                probabilities[: len(view.answers), index] = view.answers
        frames = tuple(view.frame for view in self.views)
        return Evidence(frames, probabilities, tuple(len(view.answers) for view in self.views))

    def state(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "remaining": self.remaining,
            "views": [view.state() for view in self.views],
            "taken": sorted(self.taken),
            "content": self.content,
            "doubt": self.doubt,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild from `state`."""
        views = [View.of_state(each) for each in state["views"]]
        return cls(state["remaining"], views, set(state["taken"]), state["content"], state["doubt"])


@dataclass(frozen=True)
class Places:
    """Where fruit are looked at: the belt from the entry line to the decision line, in as many parts as views.

    The first complete blob in each part is a view, so that views are spread evenly and show different sides. What
    nothing better is there for is taken in the last part and beyond the decision line: a blob that is not complete.

    Attributes:
        axes: of the camera and the belt.
        count: most views of one fruit.
    """

    axes: Axes
    count: int

    def part(self, sighting: Sighting, fruit: FruitViews) -> int | None:
        """Return the number of the part that a sighting is a view of, from 0; None if it is to be no view.

        Args:
            sighting: the newest one.
            fruit: its views so far.
        """
        start, end = self.axes.belt.entry_line, self.line(sighting)
        if sighting.along < start:
            return None
        share = (sighting.along - start) / max(end - start, 1e-9)
        last = self.count - 1
        if share >= 1 or not sighting.blob.complete:
            return last if share * self.count >= last and not fruit.views else None
        part = min(int(share * self.count), last)
        return None if part in fruit.taken else part

    def line(self, sighting: Sighting) -> float:
        """Return the position of the decision line of a sighting's lane along the belt, in pixels."""
        return self.axes.decision_line(self.axes.lane(sighting.across))
