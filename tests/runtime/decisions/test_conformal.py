"""The promise of `conformal`: the set holds the true class of at least 1 − alpha of new fruit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, make_bundle, solid
from numpy.typing import NDArray

from mango_grader import Grader
from mango_grader.errors import UsageError
from mango_grader.runtime import (
    Budget,
    Bundle,
    CalibrationData,
    CalibrationSet,
    Conformal,
    Deadline,
    ExitAt,
    ExitPolicy,
    Full,
    Risk,
    StageTimes,
    Threshold,
)
from mango_grader.runtime.calibration.fitting import fit_temperature
from mango_grader.runtime.decisions import parse_decision_rule
from mango_grader.runtime.exits import stop_exits
from mango_grader.runtime.inference.model_context import policy_context, rule_context
from mango_grader.runtime.inference.sessions import softmax

ALPHA, FRUIT, VIEWS, CLASSES_DRAWN, NEW = 0.1, 59, 3, 5, 2000
DRAWS = 200
NOISE = (2.5, 1.8, 1.2)  # of the exits; the last is the surest


@dataclass(frozen=True)
class Population:
    """Logits (3, N, 5), fruit and classes of N images."""

    logits: NDArray[np.float32]
    groups: NDArray[np.int64]
    labels: NDArray[np.int64]


def draw(rng: np.random.Generator, fruit: int, views: int) -> Population:
    """Draw fruit whose views are much alike: their noise has a part that they share."""
    groups = np.repeat(np.arange(fruit), views)
    labels = rng.integers(0, CLASSES_DRAWN, fruit)[groups]
    shared = rng.normal(size=(fruit, CLASSES_DRAWN))[groups]
    noise = 0.9 * shared + 0.45 * rng.normal(size=(len(NOISE), len(groups), CLASSES_DRAWN))
    logits = 2.0 * np.eye(CLASSES_DRAWN)[labels] + np.array(NOISE)[:, None, None] * noise
    return Population(logits.astype(np.float32), groups, labels)


def calibrated(found: Population, temperatures: tuple[float, ...]) -> NDArray[np.float32]:
    return np.stack([softmax(*each) for each in zip(found.logits, temperatures, strict=True)])


def tuned(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> ExitPolicy:
    """Return thresholds that were chosen on the same fruit, as boldly as may be: those with the fewest errors."""
    grid = [(a, b) for a in np.linspace(0.3, 0.95, 8) for b in np.linspace(0.3, 0.95, 8)]
    rows = np.arange(len(labels))

    def errors(values: tuple[float, float]) -> float:
        stops = stop_exits(Threshold(values), probabilities)
        return float((probabilities[stops, rows].argmax(axis=1) != labels).mean())

    return Threshold(min(grid, key=errors))


TIMES = StageTimes([[1.0], [10.0], [40.0]])
MACS = (100, 250, 400)

Choose = Callable[[CalibrationSet, tuple[float, ...]], ExitPolicy]
"""Chooses a policy by calibration data and temperatures."""


def bold(answers: CalibrationSet, _temperatures: tuple[float, ...]) -> ExitPolicy:
    assert answers.labels is not None
    return tuned(np.asarray(answers.probabilities, np.float32), np.asarray(answers.labels, np.int64))


POLICIES: Mapping[str, Choose] = {
    "full": lambda *_: Full(),
    "exit:1": lambda *_: ExitAt(0),
    "threshold": bold,
    "budget": lambda answers, _: Budget.of(MACS, 220, answers),
    "risk": lambda answers, temperatures: Risk.of(answers, temperatures, 0.05, 0.1),
    "deadline": lambda *_: Deadline(30, TIMES, Threshold((0.6, 0.6))),
}


def coverage(choose: Choose, alpha: float = ALPHA, fruit: int = FRUIT) -> tuple[float, float, float]:
    """Return the mean coverage over the draws, its standard error, and the mean size of a set.

    Each draw has calibration fruit of its own, with the temperatures and the exit policy that these fruit give.
    """
    covered, sizes = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        old, new = draw(rng, fruit, VIEWS), draw(rng, NEW, 1)
        temperatures = tuple(fit_temperature(each, old.labels) for each in old.logits)
        answers = CalibrationSet(calibrated(old, temperatures), old.groups, old.labels)
        policy = choose(answers, temperatures)
        rule = Conformal.of(answers, temperatures, alpha, policy)
        history = calibrated(new, temperatures)
        found = rule.decide(history, stop_exits(policy, history) + 1)
        assert found.sets is not None
        covered.append(found.sets[np.arange(NEW), new.labels].mean())
        sizes.append(found.sets.sum(axis=1).mean())
    return float(np.mean(covered)), float(np.std(covered, ddof=1) / np.sqrt(DRAWS)), float(np.mean(sizes))


@pytest.mark.parametrize("name", POLICIES)
def test_sets_hold_the_true_class_as_often_as_promised(name: str) -> None:
    mean, error, size = coverage(POLICIES[name])
    assert mean >= 1 - ALPHA - 2.6 * error, "99 % one-sided and a little more"
    assert size < CLASSES_DRAWN - 0.5, "a set of all classes would promise the same"


def test_with_a_fixed_exit_no_more_is_promised_than_needed() -> None:
    mean, error, _ = coverage(POLICIES["full"])
    assert mean <= 1 - ALPHA + 1 / (FRUIT + 1) + 2.6 * error


@pytest.mark.parametrize("name", ["threshold", "risk"])
def test_thresholds_of_the_same_fruit_cost_no_coverage_where_fruit_are_many(name: str) -> None:
    mean, error, _ = coverage(POLICIES[name], fruit=400)
    assert mean >= 1 - ALPHA - 2.6 * error


def test_a_quantile_that_is_too_small_breaks_the_promise() -> None:
    """The test above must be able to fail: here the quantile is that of a larger alpha."""
    mean, error, _ = coverage(POLICIES["full"], 1.4 * ALPHA)
    assert mean < 1 - ALPHA - 2.6 * error


def history(*exits: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the probabilities of one image at each exit, (K, 1, C)."""
    return np.array(exits, np.float32)[:, None]


ANSWERS = CalibrationSet(np.full((2, 30, 3), 1 / 3, np.float32), np.arange(30), np.zeros(30, int))


def rule_with(policy: ExitPolicy, *least: float, temperatures: tuple[float, ...] = (1.0, 1.0)) -> Conformal:
    return Conformal(0.1, ANSWERS, temperatures, policy, least, shared=least)


def sets(rule: Conformal, *exits: tuple[float, ...], stop: int = 2) -> list[int]:
    found = rule.decide(history(*exits), np.array([stop]))
    assert found.sets is not None
    assert found.review is not None
    assert found.review.tolist() == [found.sets.sum() > 1]
    return np.flatnonzero(found.sets[0]).tolist()


def test_the_policy_says_which_exits_count() -> None:
    answers = (0.5, 0.2, 0.3), (0.75, 0.05, 0.2)
    assert sets(rule_with(Full(), 0.3, 0.3), *answers) == [0]
    assert sets(rule_with(ExitAt(0), 0.3, 0.3), *answers, stop=1) == [0, 2]
    assert sets(rule_with(Threshold((0.5,)), 0.15, 0.15), *answers, stop=1) == [0, 1, 2]
    assert sets(rule_with(Deadline(9, TIMES), 0.15, 0.25), *answers) == [0, 1, 2], "the union of both exits"


def test_fruit_are_scored_at_the_exit_where_the_policy_stops_them() -> None:
    # Of twenty fruit, all but one stop at exit 1, with 0.9 for the true class; that one has 0.2 at exit 2.
    first, last = np.tile([0.9, 0.1], (20, 1)), np.tile([0.2, 0.8], (20, 1))
    first[0] = 0.5
    answers = CalibrationSet(np.stack([first, last]), np.arange(20), np.zeros(20, int))
    rule = Conformal.of(answers, (1.0, 1.0), 0.05, Threshold((0.8,)))
    assert rule.least == (pytest.approx(0.2),) * 2
    assert rule.under(ExitAt(0)).least == (pytest.approx(0.5),) * 2
    assert Conformal.of(answers, (1.0, 1.0), 0.1, Threshold((0.8,))).least == (pytest.approx(0.9),) * 2


def test_an_exit_that_did_not_run_counts_for_nothing() -> None:
    unknown = (np.nan,) * 3
    assert sets(rule_with(Deadline(9, TIMES), 0.15, 0.25), (0.8, 0.1, 0.1), unknown, stop=1) == [0]


def test_the_most_probable_class_is_always_in_the_set() -> None:
    assert sets(rule_with(Full(), 0.9, 0.9), (0.5, 0.2, 0.3), (0.4, 0.35, 0.25)) == [0]


def test_probabilities_are_compared_before_the_temperature() -> None:
    warm, answers = (1.0, 2.0), ((0.6, 0.3, 0.1), (0.46, 0.385, 0.155))
    # At temperature 1 the last exit's are 0.55, 0.39 and 0.06; the ratio to the largest is that of the squares.
    assert sets(rule_with(Full(), 0.3, 0.3, temperatures=warm), *answers) == [0, 1]
    assert sets(rule_with(Full(), 0.4, 0.4, temperatures=warm), *answers) == [0]


def bundle_of(folder: Path, groups: int, *, labelled: bool = True, retrained: bool = False) -> Bundle:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 2 * groups, np.int32) if labelled else None
    logits = rng.normal(size=(2, 2 * groups, 3)).astype(np.float32)
    kept = CalibrationData(logits, np.repeat(np.arange(groups, dtype=np.int32), 2), labels)
    return Bundle.open(make_bundle(folder / "m.mango", calibration=kept, retrained=retrained))


def parse(bundle: Bundle, text: str, policy: ExitPolicy) -> Conformal:
    rule = parse_decision_rule(text, rule_context(bundle, policy_context(bundle), policy))
    assert isinstance(rule, Conformal)
    return rule


@pytest.mark.parametrize(("alpha", "one", "several"), [("0.05", 19, 39), ("0.1", 9, 19), ("0.2", 4, 9)])
def test_too_few_fruit_are_refused_with_the_numbers(tmp_path: Path, alpha: str, one: int, several: int) -> None:
    for policy, needed in ((Full(), one), (Threshold((0.6,)), one), (Deadline(9, TIMES), several)):
        assert parse(bundle_of(tmp_path, needed), f"conformal:alpha={alpha}", policy).alpha == float(alpha)
        with pytest.raises(UsageError, match=f"needs {needed} calibration fruit; this model has {needed - 1} fruit"):
            parse(bundle_of(tmp_path, needed - 1), f"conformal:alpha={alpha}", policy)


def test_fruit_that_were_trained_on_or_not_graded_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="trained on its calibration fruit"):
        parse(bundle_of(tmp_path, 50, retrained=True), "conformal:alpha=0.1", Full())
    with pytest.raises(UsageError, match="not graded"):
        parse(bundle_of(tmp_path, 50, labelled=False), "conformal:alpha=0.1", Full())
    with pytest.raises(UsageError, match="no calibration data"):
        parse(Bundle.open(make_bundle(tmp_path / "none.mango")), "conformal:alpha=0.1", Full())


@pytest.mark.parametrize("argument", ["", "alpha", "0.05", "alpha=", "alpha=0", "alpha=1", "alpha=-1", "alpha=x"])
def test_other_arguments_are_refused_with_an_example(tmp_path: Path, argument: str) -> None:
    with pytest.raises(UsageError, match=r"conformal:alpha=0\.05"):
        parse(bundle_of(tmp_path, 50), f"conformal:{argument}", Full())


def test_a_grader_puts_the_set_in_the_record_and_widens_it_under_a_deadline(tmp_path: Path) -> None:
    path = bundle_of(tmp_path, 60).path
    image = (0.4 * solid("yellow") + 0.6 * solid("red")).astype(np.uint8)
    grader = Grader.load(path, policy="full", decide="conformal:alpha=0.2")
    record = grader.grade(image)
    assert record.labels is not None
    assert record.grade in record.labels
    assert record.review == (len(record.labels) > 1)
    hurried = grader.grade(image, deadline_ms=60_000)
    assert hurried.labels is not None
    assert set(record.labels) <= set(hurried.labels) <= set(CLASSES)
    assert list(hurried.labels) == [name for name in CLASSES if name in hurried.labels]
