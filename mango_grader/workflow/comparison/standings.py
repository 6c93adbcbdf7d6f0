"""From the outcomes of runs to what a comparison says: means over repeats, and paired differences over pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.objective import area_under_curve
from mango_grader.report import Against, MeanExit, Spread, Standing
from mango_grader.runtime.bundle.guessing import Guessing
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference
from mango_grader.workflow.comparison.outcomes import Outcome, RunFigures

_RIVAL = "random"  # the baseline that every method must beat

Answered = dict[tuple[int, str], tuple[str, bool]]
"""(repeat, path) → group, and whether the last exit was right."""


def standings(outcomes: Sequence[Outcome], seed: int = 0) -> tuple[Standing, ...]:
    """Return each entry with at least one finished run, the best on validation first; `seed` draws the bootstrap.

    Validation ranks and test reports: the best of many on test pictures would look better than it is. Areas are up to
    the multiply-accumulates of the costliest network of all.
    """
    runs = _finished(outcomes)
    if not runs:
        return ()
    answered = {name: _answered(own) for name, own in runs.items()}
    order = sorted(runs, key=lambda name: -_validation(runs[name]))
    most = max(len(own) for own in runs.values())
    best = next(name for name in order if len(runs[name]) == most)  # of one lucky run nobody is the best
    horizon = max(figures.exits[-1].macs for own in runs.values() for figures in own.values())

    def versus(name: str, rival: str | None) -> Against | None:
        return None if rival is None or rival == name else _against(rival, answered[name], answered[rival], seed)

    return tuple(
        _standing(
            name,
            list(runs[name].values()),
            answered[name],
            horizon,
            seed,
            versus(name, best),
            versus(name, random_rival(name, order)),
        )
        for name in order
    )


def against(name: str, rival: str, outcomes: Sequence[Outcome], seed: int = 0) -> Against | None:
    """Return the difference of two entries; None unless both were tested on some picture in the same repeat.

    It pairs the last exits' answers to the same pictures in the same repeats; groups are resampled over all repeats
    together.
    """
    runs = _finished(outcomes)
    own, other = (_answered(runs.get(each, {})) for each in (name, rival))
    return _against(rival, own, other, seed)


def random_rival(name: str, names: Sequence[str]) -> str | None:
    """Return the random search to hold against `name`: on its own space if there is one, else the first of `names`."""
    method, _, space = name.partition("/")
    if method == _RIVAL:
        return None
    own = f"{_RIVAL}/{space}"
    return own if own in names else next((each for each in names if each.startswith(f"{_RIVAL}/")), None)


def _finished(outcomes: Sequence[Outcome]) -> dict[str, dict[int, RunFigures]]:
    """Return what every entry achieved, by repeat."""
    runs: dict[str, dict[int, RunFigures]] = {}
    for outcome in outcomes:
        if outcome.figures is not None:
            runs.setdefault(outcome.entry, {})[outcome.repeat] = outcome.figures
    return runs


def _answered(runs: dict[int, RunFigures]) -> Answered:
    return {
        (repeat, path): (group, letters[-1] == "1")
        for repeat, figures in sorted(runs.items())
        for group, marks in figures.right.items()
        for path, letters in marks.items()
    }


def _validation(runs: dict[int, RunFigures]) -> float:
    return float(np.mean([figures.exits[-1].validation for figures in runs.values()]))


def _against(rival: str, own: Answered, other: Answered, seed: int) -> Against | None:
    common = [key for key in own if key in other]
    if not common:
        return None
    groups = [own[key][0] for key in common]
    difference = paired_difference(_right(own, common), _right(other, common), groups, seed)
    return Against(rival, difference, len(common))


def _right(answered: Answered, keys: Sequence[tuple[int, str]]) -> NDArray[np.bool_]:
    return np.array([answered[key][1] for key in keys])


def _standing(
    name: str,
    runs: Sequence[RunFigures],
    answered: Answered,
    horizon: int,
    seed: int,
    to_best: Against | None,
    to_random: Against | None,
) -> Standing:
    groups = [group for group, _ in answered.values()]
    right = np.array([[right, True] for _, right in answered.values()])
    exits = zip(*(figures.exits for figures in runs), strict=True)
    timed = [figures.seconds for figures in runs if figures.seconds is not None]
    pooled = GroupBootstrap(groups, seed).estimate(right, lambda sums: sums[:, 0] / sums[:, 1])
    commonest = [figures.commonest for figures in runs if figures.commonest is not None]
    return Standing(
        name=name,
        runs=len(runs),
        exits=tuple(
            MeanExit(
                _spread([each.accuracy for each in column]),
                _spread([each.validation for each in column]),
                _spread([each.macs for each in column]),
                _spread([each.params for each in column]),
            )
            for column in exits
        ),
        validated=sum(figures.validated for figures in runs),
        pooled=pooled,
        guessing=Guessing(pooled.value, pooled.low, float(np.mean(commonest)), len(groups), len(set(groups)))
        if commonest
        else None,
        pictures=len(groups),
        groups=len(set(groups)),
        area=_spread([_area(figures, horizon) for figures in runs]),
        search_s=_spread([each.search for each in timed]) if timed else None,
        train_s=_spread([each.train for each in timed]) if timed else None,
        whole_s=_spread([each.whole for each in timed]) if timed else None,
        to_best=to_best,
        to_random=to_random,
    )


def _area(figures: RunFigures, horizon: int) -> float:
    """Mean accuracy over budgets up to `horizon`: beyond its last exit, a network stays as good as that."""
    last = figures.exits[-1]
    accuracies = [*(each.accuracy for each in figures.exits), last.accuracy]
    return area_under_curve(accuracies, [*(each.macs for each in figures.exits), horizon])


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)
