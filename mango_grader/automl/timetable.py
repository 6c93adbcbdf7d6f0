"""How long a search takes, round by round, and which rounds are left out where its time runs short."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mango_grader.automl.methods import Round

_FORGET = 0.8  # how much of what earlier rounds took counts beside the latest: machines get busy and idle again


class Stopwatch:
    """Seconds that a run has taken, those of interrupted processes included as far as they were kept."""

    def __init__(self) -> None:
        self._before, self._start = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Elapsed time."""
        return self._before + time.monotonic() - self._start

    def resume(self, kept: float) -> None:
        """Add the `kept` seconds of earlier processes, of which the largest counts."""
        self._before = max(self._before, kept)


@dataclass(frozen=True)
class StepSeconds:
    """Seconds of one step of each kind, and of one full held-out score, as timed on this machine.

    Attributes:
        weights: of a weight step.
        architecture: of an architecture step.
        refit: of a refit step.
        score: of a full held-out score.
    """

    weights: float
    architecture: float
    refit: float
    score: float

    def of(self, round_: Round) -> float:
        """Return the estimated seconds of a round, without the scores that a method may take after it."""
        each: Mapping[str, float] = asdict(self)
        return round_.repeat * sum(phase.steps * each[phase.kind] for phase in round_.phases)


@dataclass
class _Pace:
    """How many times as long as expected something takes."""

    expected: float = 0.0
    taken: float = 0.0

    def add(self, expected: float, taken: float) -> None:
        self.expected = _FORGET * self.expected + expected
        self.taken = _FORGET * self.taken + taken

    @property
    def ratio(self) -> float:
        return self.taken / self.expected if self.expected else 1.0


@dataclass
class Timetable:
    """Predicts the rest of a search from the rounds that it has taken, and thins it out where a deadline is near.

    Too little time for all rounds leaves some out, spread evenly over the rest of the schedule, so that each of its
    phases keeps its share. Each kind of round is corrected by its own pace, and those that are still to come by that
    of all.

    Attributes:
        schedule: all rounds of the search.
        expected: what steps and scores were timed to take before the search.
        scores: how many full scores the whole search takes, at most.
        watch: the run's elapsed time.
        deadline: seconds on `watch` at which the search is to end; None takes all rounds.
        taken: how many rounds have been taken.
    """

    schedule: Sequence[Round]
    expected: StepSeconds
    scores: int
    watch: Stopwatch
    deadline: float | None = None
    taken: int = 0
    _credit: float = 0.0
    _between: float = 0.0  # full scores that follow each round
    _all: _Pace = field(default_factory=_Pace)
    _paces: dict[str, _Pace] = field(default_factory=dict)
    _own: bool = False  # whether this process has taken a round

    def __post_init__(self) -> None:
        # By kind of round, what is left from each round on: a schedule may have thousands, and each asks twice.
        self._rest: dict[str, list[tuple[float, int]]] = {}
        for kinds in {round_.kinds for round_ in self.schedule}:
            seconds, count = 0.0, 0
            rest = [(seconds, count)]
            for round_ in reversed(self.schedule):
                if round_.kinds == kinds:
                    seconds, count = seconds + self.expected.of(round_), count + 1
                rest.append((seconds, count))
            self._rest[kinds] = rest[::-1]

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.watch.seconds >= self.deadline

    @property
    def final_scores(self) -> int:
        """How many full scores the end of the search takes, at most."""
        return max(0, round(self.scores - self._between * len(self.schedule)))

    def left(self, number: int) -> float:
        """Return the estimated seconds of all that follows from round `number`, from 0, on."""
        need = self._need(number)
        return need if self.deadline is None else min(need, max(0.0, self.deadline - self.watch.seconds))

    def allows(self, number: int) -> bool:
        """Return whether there is time for round `number`; asked once for each, in order."""
        if self.deadline is None or not self.taken:
            return True
        need = self._need(number)
        self._credit += min(1.0, max(0.0, self.deadline - self.watch.seconds) / need) if need else 1.0
        if self._credit < 1 - 1e-9:
            return False
        self._credit -= 1
        return True

    def took(self, number: int, seconds: float, scores: int) -> None:
        """Record a round that was taken.

        Args:
            number: of the round, from 0.
            seconds: that it took.
            scores: full scores that were taken after it.
        """
        self.taken += 1
        self._own = True
        self._between = scores
        expected = self.expected.of(self.schedule[number]) + scores * self.expected.score
        for pace in (self._all, self._paces.setdefault(self.schedule[number].kinds, _Pace())):
            pace.add(expected, seconds)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed search needs to know, the elapsed time among it."""
        paces = {kinds: [pace.expected, pace.taken] for kinds, pace in [("", self._all), *self._paces.items()]}
        counts = {"taken": self.taken, "credit": self._credit, "between": self._between}
        return {"seconds": self.watch.seconds, **counts, "paces": paces}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        if not self._own:  # what this process wrote is on the watch already
            self.watch.resume(state["seconds"])
        self.taken, self._credit, self._between = state["taken"], state["credit"], state["between"]
        self._paces = {kinds: _Pace(*pace) for kinds, pace in state["paces"].items()}
        self._all = self._paces.pop("")

    def _need(self, number: int) -> float:
        need = self.final_scores * self.expected.score * self._all.ratio
        for kinds, rest in self._rest.items():
            seconds, count = rest[number]
            need += self._paces.get(kinds, self._all).ratio * (seconds + count * self._between * self.expected.score)
        return need
