"""From minutes to steps: a few timed steps turn a budget into a plan that is fixed before the first step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mango_grader.automl.methods import Round
from mango_grader.automl.shortlist import ShortlistConfig, total_epochs
from mango_grader.automl.timetable import StepSeconds
from mango_grader.errors import UsageError
from mango_grader.progress import format_seconds

MIN_TRAIN_EPOCHS = 2
_LONGEST = 8.0  # times the preset: beyond, more epochs bring nothing
_SAFETY = 0.9  # machines slow down; the bundle must be written by then


@dataclass(frozen=True)
class TrainCost:
    """Estimated seconds of a training.

    Attributes:
        epoch: seconds of each epoch.
        view: further seconds of each epoch that a teacher answers.
        views: epochs, from the first on, that a teacher answers.
        preparation: seconds before the first epoch, in which the teacher is made and measured.
        fewest: epochs that it has at least, whatever time is left; 0 where the network can answer without it.
        enough: epochs that a plan leaves it at least, as far as the shortest search allows.
    """

    epoch: float
    view: float = 0.0
    views: int = 0
    preparation: float = 0.0
    fewest: int = MIN_TRAIN_EPOCHS
    enough: int = MIN_TRAIN_EPOCHS

    def times(self, factor: float) -> "TrainCost":
        """Return the cost of a training that sees `factor` times as many images an epoch."""
        return replace(self, epoch=factor * self.epoch, view=factor * self.view)

    def seconds(self, epochs: int) -> float:
        """Return the estimated time of so many epochs; without any, no teacher is made either."""
        if not epochs:
            return 0.0
        return self.preparation + epochs * self.epoch + min(epochs, self.views) * self.view

    def epochs(self, seconds: float) -> int:
        """Return how many epochs `seconds` allow, at least the fewest."""
        left = seconds - self.preparation
        answered = min(self.views, int(left / (self.epoch + self.view)))
        allowed = int((left - self.view * answered) / self.epoch) if answered == self.views else answered
        return max(self.fewest, allowed)


@dataclass(frozen=True)
class Probe:
    """What a few timed steps on this machine tell, before the plan.

    Attributes:
        search: seconds of the steps of a search; None where nothing is searched.
        training: of the final network, or of one drawn from the space.
        fixed: seconds of measuring, export and report.
        spent: seconds that the run has taken so far.
        memory_mb: peak memory so far, in MB; None where the system does not tell.
        threads: with how many the times were taken; None for as many as torch has.
    """

    search: StepSeconds | None
    training: TrainCost
    fixed: float
    spent: float = 0.0
    memory_mb: float | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Shares:
    """How search, short list and training divide the time that a budget leaves for them.

    Attributes:
        train: share of the training, in (0, 1).
        shortlist: how the final choice is made; its share comes before that of the search.
    """

    train: float = 0.5
    shortlist: ShortlistConfig = ShortlistConfig(size=1)


@dataclass(frozen=True)
class BudgetPlan:
    """How long everything runs, kept in plan.json before the first step.

    Attributes:
        effort: factor on the length of the preset's search, 0..8.
        epochs: of the final training.
        search_s: estimated seconds of the search.
        train_s: estimated seconds of the final training.
        fixed_s: estimated seconds of all else: what came before the plan, then measuring, export and report.
        memory_mb: peak memory after the probe, in MB (of the GPU where there is one); None where the system does not
            tell.
        settled: whether the epochs were fitted to the network that is trained, and not to one drawn from its space.
        spent_s: seconds that the run had taken when the plan was last written.
        deadline_s: seconds after which the search is to end; None without a budget.
        steps: what the steps of the search were timed to take.
        rounds: of the search, (taken, planned); None before the search is over.
        threads: how many compute; None for as many as torch has, which a run without a budget takes.
        shortlist_s: estimated seconds of the short trainings of the final choice; 0 without time for any, None where
            none are wanted.
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
    shortlist_s: float | None = None

    @property
    def total_s(self) -> float:
        """Estimated seconds from start to bundle."""
        return self.search_s + (self.shortlist_s or 0.0) + self.train_s + self.fixed_s

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
        """Return the plan with as many epochs of the final training as its time allows.

        Args:
            cost: of the network that was found.
            longest: the preset's own number of epochs; 8 times as many are the most.
            seconds: that are left; None for those that the plan has.
            threads: how many compute from here on.
        """
        epochs = min(cost.epochs(self.train_s if seconds is None else seconds), int(longest * _LONGEST))
        return replace(self, epochs=epochs, train_s=cost.seconds(epochs), settled=True, threads=threads)

    def __str__(self) -> str:
        shortlist = "" if self.shortlist_s is None else " no short list (too little time),"
        if self.shortlist_s:
            shortlist = f" short list {format_seconds(self.shortlist_s)},"
        training = f"training {format_seconds(self.train_s)} ({self.epochs} epochs)"
        parts = f"search {format_seconds(self.search_s)},{shortlist} {training}"
        memory = "" if self.memory_mb is None else f" and {self.memory_mb:.0f} MB"
        total = f"about {format_seconds(self.total_s)}{memory} in all"
        return f"plan: {parts}, {total} (extrapolated from a few timed steps)"


@dataclass(frozen=True)
class Workload:
    """What a search with given settings amounts to.

    Attributes:
        rounds: of its schedule.
        scores: full held-out scores, in all.
    """

    rounds: Sequence[Round]
    scores: int

    def seconds(self, steps: StepSeconds) -> float:
        """Return the estimated time of the whole search."""
        return sum(steps.of(round_) for round_ in self.rounds) + self.scores * steps.score


def make_plan(
    budget: float | None,
    epochs: int,
    probe: Probe,
    search_seconds: Callable[[float], float] | None = None,
    shares: Shares = Shares(),
) -> BudgetPlan:
    """Return the plan that fits a budget, or that of the preset's own length.

    Args:
        budget: seconds from the start of the run to the written bundle; None for no limit.
        epochs: of the final training, as the preset has them.
        probe: what steps take on this machine.
        search_seconds: estimated seconds of the search by its effort; None where nothing is searched.
        shares: how a budget is divided, where something is searched.

    Raises:
        UsageError: not even the shortest search and training fit; the message names the smallest feasible budget.
    """
    seconds = search_seconds or (lambda effort: 0.0)
    fixed = probe.fixed + probe.spent
    config, wanted = shares.shortlist, search_seconds is not None and shares.shortlist.size > 1
    if budget is None:
        return BudgetPlan(
            1.0,
            epochs,
            seconds(1.0),
            probe.training.seconds(epochs),
            fixed,
            probe.memory_mb,
            spent_s=probe.spent,
            steps=probe.search,
            shortlist_s=probe.training.epoch * total_epochs(config.rungs(config.size)) if wanted else None,
        )
    left = seconds_left(budget, fixed, 0.0)
    shortest = probe.training.seconds(MIN_TRAIN_EPOCHS)
    least = seconds(0.0) + shortest
    if left < least:
        smallest = format_seconds((least + fixed) / _SAFETY + 1)
        raise UsageError(f"--budget {format_seconds(budget)} is too short here; the smallest feasible is {smallest}")
    share = left
    if search_seconds is not None:
        enough = min(probe.training.seconds(probe.training.enough), left - seconds(0.0))
        share = max(left * shares.train, shortest, enough)
    trained = min(probe.training.epochs(share), int(epochs * _LONGEST))
    train_s = probe.training.seconds(trained)
    shortlist_s = None
    if wanted:
        listed = min(left * config.share, left - train_s - seconds(0.0))
        shortlist_s = listed if config.rungs(config.size, listed / probe.training.epoch) else 0.0
    later = train_s + (shortlist_s or 0.0)
    effort = _largest_effort(seconds, left - later)
    deadline = None if search_seconds is None else seconds_left(budget, probe.fixed, 0.0) - later
    return BudgetPlan(
        effort,
        trained,
        seconds(effort),
        train_s,
        fixed,
        probe.memory_mb,
        settled=search_seconds is None,
        spent_s=probe.spent,
        deadline_s=deadline,
        steps=probe.search,
        threads=probe.threads,
        shortlist_s=shortlist_s,
    )


def seconds_left(budget: float, fixed: float, spent: float) -> float:
    """Return the seconds of a budget that are left for search and training.

    Args:
        budget: seconds from the start of the run to the written bundle; a tenth is kept as a margin.
        fixed: seconds that follow search and training.
        spent: seconds that the run has taken.
    """
    return budget * _SAFETY - fixed - spent


def _largest_effort(seconds: Callable[[float], float], limit: float) -> float:
    low, high = 0.0, _LONGEST
    if seconds(high) <= limit:
        return high
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if seconds(middle) <= limit else (low, middle)
    return low
