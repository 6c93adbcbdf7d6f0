"""Which threshold a risk chooses, and what it refuses."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from noisy_fruit import calibration_of, draw_fruit
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.exits import CalibrationSet, ExitPolicy, PolicyContext, Risk, parse_exit_policy, stop_exits
from mango_grader.runtime.exits.risk import THRESHOLDS
from mango_grader.runtime.inference.sessions import softmax


def losses(policy: ExitPolicy, answers: CalibrationSet) -> NDArray[np.bool_]:
    """Return which fruit are newly wrong, (G,), written without the policy's own code."""
    stops = stop_exits(policy, answers.probabilities)
    given = answers.probabilities.argmax(axis=2)
    early, last = given[stops, np.arange(len(stops))], given[-1]
    lost = (early != answers.labels) & (last == answers.labels)
    return np.array([lost[answers.groups == group].any() for group in np.unique(answers.groups)])


def context(answers: CalibrationSet, temperatures: tuple[float, ...] = ()) -> PolicyContext:
    return PolicyContext(macs=(1, 2), temperatures=temperatures, thresholds={}, read_calibration=lambda: answers)


def answers_of(fruit: int, wrong: int = 0, **fields: object) -> CalibrationSet:
    """Return fruit of class 0 that the last exit gets right; the first is wrong, and less sure, of some."""
    sure = np.full(fruit, 0.9)
    sure[:wrong] = np.linspace(0.6, 0.7, wrong)
    first = np.stack([sure, 1 - sure], axis=1)
    first[:wrong] = first[:wrong, ::-1]
    last = np.tile([0.99, 0.01], (fruit, 1))
    return replace(CalibrationSet(np.stack([first, last]), np.arange(fruit), np.zeros(fruit, int)), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("eps", "delta", "needed"),
    [(0.01, 0.05, (299, 473, 628)), (0.03, 0.10, (76, 129, 176)), (0.05, 0.10, (45, 77, 105))],
)
def test_as_many_losses_are_allowed_as_the_fruit_prove(eps: float, delta: float, needed: tuple[int, ...]) -> None:
    for allowed, fruit in enumerate(needed):
        bold = Risk.of(answers_of(fruit, allowed), (1.0, 1.0), eps, delta)
        assert stop_exits(bold, answers_of(fruit, allowed).probabilities).max() == 0
        # With one fruit less, the surest of the wrong ones may not stop early.
        few = answers_of(fruit - 1, allowed)
        if allowed:
            cautious = Risk.of(few, (1.0, 1.0), eps, delta)
            assert losses(cautious, few).sum() == allowed - 1
        else:
            with pytest.raises(UsageError, match=f"needs {fruit}"):
                Risk.of(few, (1.0, 1.0), eps, delta)


def test_too_few_fruit_are_refused_with_what_is_needed() -> None:
    with pytest.raises(UsageError, match=r"needs 299 .* 473 if one is and 628 if two are; this model has 86 fruit"):
        parse_exit_policy("risk:eps=0.01,delta=0.05", context(answers_of(86)))


def test_fruit_are_counted_and_not_their_images() -> None:
    answers = answers_of(80, groups=np.arange(80) // 2)
    with pytest.raises(UsageError, match="this model has 40 fruit"):
        parse_exit_policy("risk", context(answers))


def test_fruit_that_the_network_was_trained_on_are_refused() -> None:
    with pytest.raises(
        UsageError, match="trained on its calibration fruit; give it fresh fruit: mango-grader calibrate"
    ):
        parse_exit_policy("risk", context(answers_of(500, retrained=True)))


def test_without_grades_other_answers_are_bounded() -> None:
    answers = answers_of(200, 20)
    right = replace(answers, labels=answers.probabilities.argmax(axis=2)[0])  # Exit 1 is right, so nothing is lost.
    bold = parse_exit_policy("risk", context(right))
    cautious = parse_exit_policy("risk", context(replace(answers, labels=None)))
    assert stop_exits(bold, answers.probabilities).max() == 0
    assert (stop_exits(cautious, answers.probabilities)[:20] == 1).sum() >= 15
    assert "(new errors; " in str(bold)
    assert "(other answers than the last exit; " in str(cautious)


def test_temperatures_change_nothing() -> None:
    data = calibration_of(draw_fruit(1_000, seed=5))
    stops = []
    for temperatures in ((1.0, 1.0, 1.0), (0.3, 2.0, 1.0), (5.0, 0.5, 3.0)):
        probabilities = np.stack([softmax(*each) for each in zip(data.logits, temperatures, strict=True)])
        policy = Risk.of(CalibrationSet(probabilities, data.groups, data.labels), temperatures, 0.05, 0.1)
        stops.append(stop_exits(policy, probabilities))
    np.testing.assert_array_equal(stops[0], stops[1])
    np.testing.assert_array_equal(stops[0], stops[2])
    assert 0 < (stops[0] == 0).mean() < 1


def test_where_the_surest_are_wrong_nothing_stops() -> None:
    answers = answers_of(100)
    wrong = np.stack([answers.probabilities[0, :, ::-1], answers.probabilities[1]])
    policy = Risk.of(replace(answers, probabilities=wrong), (1.0, 1.0), 0.05, 0.1)
    assert stop_exits(policy, wrong).min() == 1


def test_numbers_have_defaults_and_any_order() -> None:
    found = context(answers_of(500, 5))
    policies = {parse_exit_policy(text, found) for text in ("risk", "risk:delta=0.1", "risk:delta=0.1,eps=0.05")}
    assert len(policies) == 1
    other = parse_exit_policy("risk:eps=0.02", found)
    assert isinstance(other, Risk)
    assert (other.eps, other.delta) == (0.02, 0.1)


@pytest.mark.parametrize(
    "argument",
    ["eps=0", "eps=1", "delta=0", "delta=1.5", "eps=nan", "eps=-0.1", "alpha=0.1", "0.05", "eps=0.05,",
     "eps=0.05;delta=0.1", "eps=0.01,eps=0.05", "eps=1e-9"],
)  # fmt: skip
def test_other_numbers_are_refused(argument: str) -> None:
    with pytest.raises(UsageError, match=r"write risk:eps=0\.05,delta=0\.1"):
        parse_exit_policy(f"risk:{argument}", context(answers_of(500)))


def test_thresholds_go_from_cautious_to_bold() -> None:
    assert list(THRESHOLDS) == sorted(THRESHOLDS, reverse=True)
    assert 0.9999 < THRESHOLDS[0] < 1
    assert THRESHOLDS[-1] < 1e-3
    assert max(a - b for a, b in pairwise(THRESHOLDS)) < 0.02
