"""Standing: where one entry of a comparison stands, as plain values."""

from dataclasses import dataclass

from mango_grader.runtime.bundle.guessing import Guessing
from mango_grader.training.bootstrap import Difference, Estimate


@dataclass(frozen=True)
class Spread:
    """Mean over runs, and their standard deviation (n − 1); None where there is one run."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class MeanExit:
    """One exit over the runs of an entry: accuracy on test and on validation pictures, in [0, 1]; its whole cost."""

    accuracy: Spread
    validation: Spread
    macs: Spread
    params: Spread


@dataclass(frozen=True)
class Against:
    """An entry's difference to the entry `name`, on the `pictures` test pictures that both answered."""

    name: str
    difference: Difference
    pictures: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One entry over its runs.

    Fields:
        validated: validation pictures of all runs.
        pooled: accuracy of the last exit over all test pictures of all runs, its interval over groups.
        pictures, groups: how many of them.
        area: mean accuracy over budgets from 0 to one horizon of multiply-adds, the same for all entries; a budget
            below the first exit scores 0, one beyond the last scores the last.
        search_s, train_s, whole_s: wall-clock of the runs that nothing interrupted; None without any.
        to_best, to_random: last exit, on test pictures, against the entry that is best on validation pictures and
            against random search's; None for these themselves.
        guessing: the pooled accuracy beside that of always answering the commonest class; None where runs did not
            record it.
    """

    name: str
    runs: int
    exits: tuple[MeanExit, ...]
    validated: int
    pooled: Estimate
    pictures: int
    groups: int
    area: Spread
    search_s: Spread | None
    train_s: Spread | None
    whole_s: Spread | None
    to_best: Against | None
    to_random: Against | None
    guessing: Guessing | None = None
