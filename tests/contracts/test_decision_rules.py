"""What every decision rule keeps. A new rule joins with one line of `RULES`."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from bundles import make_bundle
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime import (
    Bundle,
    CalibrationData,
    Deadline,
    ExitAt,
    ExitPolicy,
    Full,
    Prices,
    StageTimes,
    Threshold,
)
from mango_grader.runtime.decisions import DECISION_RULES, DecisionRule, Decisions, RuleContext, parse_decision_rule
from mango_grader.runtime.exits import stop_exits
from mango_grader.runtime.inference.model_context import policy_context, rule_context

# What is typed, and how it begins when it is printed.
RULES: Mapping[str, str] = {
    "argmax": "argmax",
    "cost": "cost:",
    "cost:ordinal,review=0.4": "cost:",
    "conformal:alpha=0.1": "conformal:alpha=0.1",
    "conformal:alpha=5e-2": "conformal:alpha=0.05",
}
PRICES = Prices(((0.0, 1.0, 9.0), (1.0, 0.0, 3.0), (9.0, 3.0, -1.0)), (0.5, 0.6, 0.7))
POLICY = Threshold((0.6,))


def answers(count: int, seed: int) -> NDArray[np.float32]:
    """Return logits of two exits for `count` images, (2, N, 3)."""
    return np.random.default_rng(seed).normal(scale=2, size=(2, count, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> RuleContext:
    labels = np.random.default_rng(2).integers(0, 3, 200, np.int32)
    kept = CalibrationData(answers(200, 1), np.arange(200, dtype=np.int32) // 2, labels)
    path = tmp_path_factory.mktemp("rules") / "model.mango"
    bundle = Bundle.open(make_bundle(path, ordinal=True, prices=PRICES, calibration=kept))
    return rule_context(bundle, policy_context(bundle), POLICY)


@pytest.fixture(params=RULES)
def rule(request: pytest.FixtureRequest, context: RuleContext) -> DecisionRule:
    return parse_decision_rule(request.param, context)


def test_a_row_that_is_not_finite_does_no_harm(rule: DecisionRule) -> None:
    """The grader hands such rows over as zeros, and drops what is decided about them."""
    history = np.array([[[0.0, 0.0, 0.0], [0.2, 0.7, 0.1]], [[0.0, 0.0, 0.0], [0.3, 0.6, 0.1]]], np.float32)
    exits = np.array([2, 2])
    found = rule.decide(history, exits)
    assert_same(rule.decide(history[:, 1:], exits[1:]), found, np.array([1]))


@pytest.mark.parametrize("policy", [Full(), ExitAt(0), Threshold((0.5,)), Deadline(1, StageTimes([[1.0], [1.0]]))])
def test_a_rule_holds_for_any_exit_policy(rule: DecisionRule, policy: ExitPolicy, context: RuleContext) -> None:
    assert rule.under(policy).under(context.policy) == rule


@pytest.fixture(scope="module")
def graded() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the history and the exits of 300 images, as a model gives them."""
    powers = np.exp(answers(300, 3))
    history = (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)
    exits = stop_exits(POLICY, history) + 1
    history[1, exits == 1] = np.nan
    return history, exits


def assert_same(found: Decisions, expected: Decisions, rows: NDArray[np.int64]) -> None:
    for name in ("answers", "review", "costs", "sets"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        if other is not None:
            np.testing.assert_array_equal(one, other[rows], err_msg=name)


def test_every_rule_is_here() -> None:
    assert {text.partition(":")[0] for text in RULES} == DECISION_RULES.keys()


@pytest.mark.parametrize(("text", "printed"), RULES.items())
def test_a_text_is_read_as_an_equal_rule_each_time(text: str, printed: str, context: RuleContext) -> None:
    rule = parse_decision_rule(text, context)
    assert isinstance(rule, DecisionRule)
    assert rule == parse_decision_rule(text, context)
    assert str(rule) == str(parse_decision_rule(text, context))
    assert str(rule).startswith(printed)


def test_different_rules_print_differently(context: RuleContext) -> None:
    assert len({str(parse_decision_rule(text, context)) for text in RULES}) == len(RULES)


@pytest.mark.parametrize("name", DECISION_RULES)
def test_nonsense_is_refused_in_one_line(name: str, context: RuleContext) -> None:
    for argument in ("", "x", "-1", "alpha", "1,2", "nan", "²", "9" * 400 + "x", "\n1"):
        with pytest.raises(UsageError) as refused:
            parse_decision_rule(f"{name}:{argument}", context)
        assert len(str(refused.value).splitlines()) == 1


def test_decisions_are_finite_and_in_range(
    rule: DecisionRule, graded: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    history, exits = graded
    found = rule.decide(history, exits)
    assert found.answers.shape == exits.shape
    assert set(found.answers.tolist()) <= {0, 1, 2}
    assert found.review is None or (found.review.shape == exits.shape and found.review.dtype == np.bool_)
    assert found.costs is None or np.isfinite(found.costs).all()
    if found.sets is not None:
        assert found.sets.shape == (len(exits), 3)
        assert found.sets[np.arange(len(exits)), found.answers].all(), "a set holds the answer"


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_size_of_the_batches_does_not_matter(
    rule: DecisionRule, graded: tuple[NDArray[np.float32], NDArray[np.int64]], size: int
) -> None:
    history, exits = graded
    whole = rule.decide(history, exits)
    for start in range(0, len(exits), size):
        rows = np.arange(start, min(start + size, len(exits)))
        assert_same(rule.decide(history[:, rows], exits[rows]), whole, rows)


def test_the_order_of_the_images_does_not_matter(
    rule: DecisionRule, graded: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    history, exits = graded
    order = np.random.default_rng(0).permutation(len(exits))
    assert_same(rule.decide(history[:, order], exits[order]), rule.decide(history, exits), order)


def test_threads_share_a_rule(rule: DecisionRule, graded: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    history, exits = graded
    alone = rule.decide(history, exits)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: rule.decide(history, exits), range(32)):
            assert_same(found, alone, np.arange(len(exits)))
