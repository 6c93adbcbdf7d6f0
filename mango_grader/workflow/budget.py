"""From minutes to steps: a timed probe turns a budget into a plan that is fixed before the first step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mango_grader.automl.methods import MethodSettings, Round
from mango_grader.automl.timetable import StepSeconds
from mango_grader.errors import UsageError
from mango_grader.progress import format_seconds
from mango_grader.training.device import Device
from mango_grader.workflow.machine import peak_memory_mb

MIN_TRAIN_EPOCHS = 2
_TRAIN_SHARE = 0.5  # of what is left for search and training together
_LONGEST = 8.0  # times the preset: beyond, more epochs bring nothing
_SAFETY = 0.9  # machines slow down; the bundle must be written by then


@dataclass(frozen=True)
class TrainCost:
    """Seconds of a training: `epoch` for each, `view` besides for the first `views`, which a teacher answers.

    making: of the teacher itself.
    """

    epoch: float
    view: float = 0.0
    views: int = 0
    making: float = 0.0

    def times(self, factor: float) -> "TrainCost":
        """Return the cost of a training that sees `factor` times as many pictures an epoch."""
        return replace(self, epoch=factor * self.epoch, view=factor * self.view)

    def seconds(self, epochs: int) -> float:
        """Return the estimated time of so many epochs."""
        return self.making + epochs * self.epoch + min(epochs, self.views) * self.view

    def epochs(self, seconds: float) -> int:
        """Return how many epochs `seconds` allow, at least 2."""
        left = seconds - self.making
        answered = min(self.views, int(left / (self.epoch + self.view)))
        allowed = int((left - self.view * answered) / self.epoch) if answered == self.views else answered
        return max(MIN_TRAIN_EPOCHS, allowed)


@dataclass(frozen=True)
class Rates:
    """Measured seconds. search: of its steps, None where nothing is searched. fixed: measuring, export and report.

    threads: with how many that was; None where a run computes with as many as torch has.
    """

    search: StepSeconds | None
    training: TrainCost
    fixed: float
    threads: int | None = None


@dataclass(frozen=True)
class BudgetPlan:
    """How long everything runs. effort: factor on the preset's search, epochs: of the final training.

    settled: whether the epochs were fitted to the network that is trained, and not to one drawn from its space.
    search_s, train_s, fixed_s: estimated seconds. memory_mb: peak resident (or GPU) memory after the probe, None where
    the system does not tell. spent_s: seconds that the run had taken when the plan was last written. deadline_s: those
    at which the search is to end; None without a budget. steps: what the steps of the search were timed to take.
    rounds: of the search, those that there was time for, then those of its plan; None before the search is over.
    threads: how many compute from here on; None for as many as torch has, which a run without a budget takes.
    """

    effort: float
    epochs: int
    search_s: float
    train_s: float
    fixed_s: float
    memory_mb: float | None
    settled: bool = True
    spent_s: float = 0.0
    deadline_s: float | None = None
    steps: StepSeconds | None = None
    rounds: tuple[int, int] | None = None
    threads: int | None = None

    @property
    def total_s(self) -> float:
        """Estimated seconds from start to bundle."""
        return self.search_s + self.train_s + self.fixed_s

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "BudgetPlan":
        """Rebuild from `to_dict`'s data; what earlier versions did not write has its default."""
        steps, rounds = data.get("steps"), data.get("rounds")
        read = {"steps": steps and StepSeconds(**steps), "rounds": rounds and tuple(rounds)}
        return cls(**{**data, **read})

    def settle(
        self, cost: TrainCost, longest: int, seconds: float | None = None, threads: int | None = None
    ) -> "BudgetPlan":
        """Return the plan with as many epochs of the final training as `seconds` allow at `cost`.

        At least 2, at most 8 times `longest`, the preset's own number. Without `seconds`, its planned time counts.
        """
        epochs = min(cost.epochs(self.train_s if seconds is None else seconds), int(longest * _LONGEST))
        return replace(self, epochs=epochs, train_s=cost.seconds(epochs), settled=True, threads=threads)

    def __str__(self) -> str:
        parts = (
            f"search {format_seconds(self.search_s)}, training {format_seconds(self.train_s)} ({self.epochs} epochs)"
        )
        memory = "" if self.memory_mb is None else f" and {self.memory_mb:.0f} MB"
        total = f"about {format_seconds(self.total_s)}{memory} in all"
        return f"plan: {parts}, {total} (extrapolated from a few timed steps)"


@dataclass(frozen=True)
class Workload:
    """What the search of given settings amounts to: its rounds, and how many full scores it takes."""

    rounds: Sequence[Round]
    scores: int

    def seconds(self, steps: StepSeconds) -> float:
        """Return the estimated time of the whole search."""
        return sum(steps.of(round_) for round_ in self.rounds) + self.scores * steps.score


def make_plan(
    budget: float | None,
    rates: Rates,
    settings: MethodSettings | None,
    workload: Callable[[MethodSettings], Workload] | None,
    epochs: int,
    spent: float,
    device: Device,
) -> BudgetPlan:
    """Return the plan that fits `budget` seconds, or the preset's own length where there is none.

    `settings` None: nothing is searched. `spent`: seconds gone already. Raises UsageError with the smallest feasible
    budget if even the shortest search and training do not fit.
    """

    def search_seconds(effort: float) -> float:
        if workload is None or settings is None or rates.search is None:
            return 0.0
        return workload(settings.scaled(effort)).seconds(rates.search)

    fixed = rates.fixed + spent
    if budget is None:
        searched, trained_s = search_seconds(1.0), rates.training.seconds(epochs)
        memory = peak_memory_mb(device)
        return BudgetPlan(1.0, epochs, searched, trained_s, fixed, memory, spent_s=spent, steps=rates.search)
    left = seconds_left(budget, fixed, 0.0)
    shortest = rates.training.seconds(MIN_TRAIN_EPOCHS)
    least = search_seconds(0.0) + shortest
    if left < least:
        smallest = format_seconds((least + fixed) / _SAFETY + 1)
        raise UsageError(f"--budget {format_seconds(budget)} is too short here; the smallest feasible is {smallest}")
    share = left if settings is None else max(left * _TRAIN_SHARE, shortest)
    trained = min(rates.training.epochs(share), int(epochs * _LONGEST))
    train_s = rates.training.seconds(trained)
    effort = _largest_effort(search_seconds, left - train_s)
    memory, searched = peak_memory_mb(device), search_seconds(effort)
    deadline = None if settings is None else seconds_left(budget, rates.fixed, 0.0) - train_s
    return BudgetPlan(
        effort,
        trained,
        searched,
        train_s,
        fixed,
        memory,
        settled=settings is None,
        spent_s=spent,
        deadline_s=deadline,
        steps=rates.search,
        threads=rates.threads,
    )


def seconds_left(budget: float, fixed: float, spent: float) -> float:
    """Return what is left of a budget for search and training, `fixed` being what comes after them."""
    return budget * _SAFETY - fixed - spent


def _largest_effort(seconds: Callable[[float], float], limit: float) -> float:
    low, high = 0.0, _LONGEST
    if seconds(high) <= limit:
        return high
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if seconds(middle) <= limit else (low, middle)
    return low
