"""The models of the fruit in flight: a fruit stays with the model that saw it first, also when the file is replaced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from mango_grader.line.frame import Frame
from mango_grader.line.grading import Answer, Evidence, FruitGrader, Work
from mango_grader.line.observations import Sighting


@dataclass
class _Turn:
    """One model, and the number of the first fruit that is its own."""

    model: str
    since: int
    grader: FruitGrader


class Graders:
    """Grades fruit, each with one model; a new model takes the fruit that nobody has seen before.

    Args:
        model: digest of the first model.
        grader: of the first model.
    """

    def __init__(self, model: str, grader: FruitGrader) -> None:
        self._turns = [_Turn(model, 0, grader)]
        self._open: set[int] = set()
        self._last = 0

    @property
    def model(self) -> str:
        """Digest of the model that new fruit are graded with."""
        return self._turns[-1].model

    def change(self, model: str, grader: FruitGrader) -> None:
        """Take another model for the fruit to come.

        Args:
            model: its digest.
            grader: of the model.
        """
        self._turns.append(_Turn(model, self._last + 1, grader))
        self._drop_idle()

    def look(self, frame: Frame, sightings: Sequence[Sighting]) -> None:
        """Show one frame to the models of its fruit.

        Args:
            frame: with an image.
            sightings: of the fruit in it.
        """
        for turn, following in zip(self._turns, [*self._turns[1:], None], strict=True):
            end = None if following is None else following.since
            mine = [one for one in sightings if turn.since <= one.fruit and (end is None or one.fruit < end)]
            turn.grader.look(frame, mine)
        new = {one.fruit for one in sightings if one.fruit > self._last}  # A fruit is still seen when it is forgotten.
        self._open |= new
        self._last = max(new, default=self._last)

    def work(self, allowance_s: float | None) -> list[Work]:
        """Grade what is in flight, oldest model first; return what each model did.

        Args:
            allowance_s: seconds that it may take; None as long as it takes.
        """
        start, done = perf_counter(), []
        for turn in self._turns:
            left = None if allowance_s is None else max(allowance_s - (perf_counter() - start), 0.0)
            done.append(turn.grader.work(left))
        return done

    def repeat(self, works: Sequence[Work]) -> None:
        """Do again what `work` has returned.

        Args:
            works: of each model, the oldest first.
        """
        for turn, work in zip(self._turns, works, strict=True):
            turn.grader.repeat(work)

    def answer(self, fruit: int) -> tuple[Answer, Evidence]:
        """Return the answer to a fruit, and what it rests on.

        Args:
            fruit: its number.
        """
        grader = self._of(fruit)
        return grader.answer(fruit), grader.evidence(fruit)

    def forget(self, fruit: int) -> None:
        """Free what is kept of a fruit; a model without fruit that a later one follows is let go.

        Args:
            fruit: its number.
        """
        self._of(fruit).forget(fruit)
        self._open.discard(fruit)
        self._drop_idle()

    def state(self) -> dict[str, Any]:
        """Return all that it knows as plain JSON values, for a checkpoint."""
        turns = [{"model": one.model, "since": one.since, "state": one.grader.state()} for one in self._turns]
        return {"turns": turns, "open": sorted(self._open), "last": self._last}

    def restore(self, state: Mapping[str, Any], load: Callable[[str], FruitGrader]) -> None:
        """Take over what `state` returned.

        Args:
            state: of an earlier process.
            load: returns the grader of a model, by its digest.
        """
        self._turns = [_Turn(one["model"], one["since"], load(one["model"])) for one in state["turns"]]
        for turn, kept in zip(self._turns, state["turns"], strict=True):
            turn.grader.restore(kept["state"])
        self._open, self._last = set(state["open"]), state["last"]

    def _of(self, fruit: int) -> FruitGrader:
        return next(turn.grader for turn in reversed(self._turns) if turn.since <= fruit)

    def _drop_idle(self) -> None:
        while len(self._turns) > 1 and not any(fruit < self._turns[1].since for fruit in self._open):
            del self._turns[0]
