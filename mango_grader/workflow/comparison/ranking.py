"""From the outcomes of runs to a ranking: means over repeats, and paired differences over test images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.objective import area_under_curve
from mango_grader.runtime.bundle.guessing import Guessing
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference
from mango_grader.training.ranking import MeanExit, MeanSd, PairedDifference, RankedEntry
from mango_grader.workflow.comparison.outcomes import ExitFigures, Outcome, RunFigures, Seconds

_RANDOM = "random"  # the baseline that every method must beat


def rank(outcomes: Sequence[Outcome], seed: int = 0) -> tuple[RankedEntry, ...]:
    """Return each entry with at least one finished run, the best on validation images first.

    Validation images rank and test images report: the best of many on test images would look better than it is. Areas
    go up to the multiply-adds of the costliest network of all.

    Args:
        outcomes: runs of any number of entries; failed ones count for nothing.
        seed: of the bootstrap.
    """
    entries = _finished(outcomes, seed)
    if not entries:
        return ()
    order = sorted(entries, key=lambda name: -entries[name].validation)
    most = max(len(entry.runs) for entry in entries.values())
    best = next(name for name in order if len(entries[name].runs) == most)  # one lucky run makes no best entry
    horizon = max(figures.exits[-1].macs for entry in entries.values() for figures in entry.runs.values())

    def difference(name: str, rival: str | None) -> PairedDifference | None:
        return None if rival is None or rival == name else entries[name].difference_to(entries[rival])

    return tuple(
        entries[name].ranked(horizon, difference(name, best), difference(name, random_rival(name, order)))
        for name in order
    )


def difference_between(name: str, rival: str, outcomes: Sequence[Outcome], seed: int = 0) -> PairedDifference | None:
    """Return how far the entry `name` is ahead of `rival`; None unless both were tested on some image in one repeat.

    It pairs the last exits' answers to the same images in the same repeats; groups are resampled over all repeats
    together.

    Args:
        name: the one entry.
        rival: the other entry.
        outcomes: runs of both.
        seed: of the bootstrap.
    """
    entries = _finished(outcomes, seed)
    return entries[name].difference_to(entries[rival]) if name in entries and rival in entries else None


def random_rival(name: str, names: Sequence[str]) -> str | None:
    """Return the random search to compare an entry with: on its own space, or else the first; None without any.

    Args:
        name: of the entry.
        names: of all entries, the best first.
    """
    method, _, space = name.partition("/")
    if method == _RANDOM:
        return None
    own = f"{_RANDOM}/{space}"
    return own if own in names else next((each for each in names if each.startswith(f"{_RANDOM}/")), None)


@dataclass(frozen=True)
class _Answer:
    """The group of a test image, and whether the last exit's answer was correct."""

    group: str
    correct: bool


@dataclass(frozen=True)
class _Finished:
    """An entry's finished runs, by repeat."""

    name: str
    runs: Mapping[int, RunFigures]
    seed: int

    @property
    def validation(self) -> float:
        """Mean validation accuracy of the last exit."""
        return float(np.mean([figures.exits[-1].validation for figures in self.runs.values()]))

    @cached_property
    def answers(self) -> Mapping[tuple[int, str], _Answer]:
        """Last exit's answers by repeat and path."""
        return {
            (repeat, path): _Answer(group, letters[-1] == "1")
            for repeat, figures in sorted(self.runs.items())
            for group, marks in figures.correct.items()
            for path, letters in marks.items()
        }

    def difference_to(self, rival: "_Finished") -> PairedDifference | None:
        """Return the difference on the images that both answered in the same repeat; None without any."""
        common = [key for key in self.answers if key in rival.answers]
        if not common:
            return None
        groups = [self.answers[key].group for key in common]
        difference = paired_difference(self._correct(common), rival._correct(common), groups, self.seed)
        return PairedDifference(rival.name, difference, len(common))

    def _correct(self, keys: Sequence[tuple[int, str]]) -> NDArray[np.bool_]:
        return np.array([self.answers[key].correct for key in keys])

    def ranked(self, horizon: int, to_best: PairedDifference | None, to_random: PairedDifference | None) -> RankedEntry:
        """Return the entry's figures; areas go up to `horizon` multiply-adds."""
        runs = list(self.runs.values())
        groups = [answer.group for answer in self.answers.values()]
        counts = np.array([[answer.correct, True] for answer in self.answers.values()])
        pooled = GroupBootstrap(groups, self.seed).estimate(counts, lambda sums: sums[:, 0] / sums[:, 1])
        commonest = [figures.commonest for figures in runs if figures.commonest is not None]
        images, fruit = len(groups), len(set(groups))
        guessing = Guessing(pooled.value, pooled.low, float(np.mean(commonest)), images, fruit) if commonest else None
        timed = [figures.seconds for figures in runs if figures.seconds is not None]
        return RankedEntry(
            name=self.name,
            runs=len(runs),
            exits=tuple(_mean_exit(column) for column in zip(*(figures.exits for figures in runs), strict=True)),
            validated=sum(figures.validated for figures in runs),
            pooled=pooled,
            images=images,
            groups=fruit,
            area=_mean_sd([_area(figures, horizon) for figures in runs]),
            search_s=_mean_seconds(timed, lambda each: each.search),
            train_s=_mean_seconds(timed, lambda each: each.train),
            whole_s=_mean_seconds(timed, lambda each: each.whole),
            to_best=to_best,
            to_random=to_random,
            guessing=guessing,
            unmoved=sum(each.movement is not None and not each.movement.moved for each in runs),
        )


def _finished(outcomes: Sequence[Outcome], seed: int) -> dict[str, _Finished]:
    runs: dict[str, dict[int, RunFigures]] = {}
    for outcome in outcomes:
        if outcome.figures is not None:
            runs.setdefault(outcome.entry, {})[outcome.repeat] = outcome.figures
    return {name: _Finished(name, own, seed) for name, own in runs.items()}


def _mean_exit(runs: Sequence[ExitFigures]) -> MeanExit:
    return MeanExit(
        _mean_sd([each.accuracy for each in runs]),
        _mean_sd([each.validation for each in runs]),
        _mean_sd([each.macs for each in runs]),
        _mean_sd([each.params for each in runs]),
    )


def _mean_seconds(timed: Sequence[Seconds], of: Callable[[Seconds], float]) -> MeanSd | None:
    return _mean_sd([of(each) for each in timed]) if timed else None


def _mean_sd(values: Sequence[float]) -> MeanSd:
    return MeanSd(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


def _area(figures: RunFigures, horizon: int) -> float:
    """Mean accuracy over budgets up to `horizon`; beyond its last exit, a network keeps the accuracy of that exit."""
    last = figures.exits[-1]
    accuracies = [*(each.accuracy for each in figures.exits), last.accuracy]
    return area_under_curve(accuracies, [*(each.macs for each in figures.exits), horizon])
