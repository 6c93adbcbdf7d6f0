"""Policies side by side in the report and the card, and what to take, with the run's own figures."""

from dataclasses import replace

import numpy as np
import pytest

from mango_grader.report import ReportData, model_card
from mango_grader.report.advice import advice
from mango_grader.report.run import render_report
from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits import CalibrationSet, PolicyContext
from mango_grader.training.metrics import EvaluationSet
from mango_grader.workflow.run.side_by_side import SideBySide, side_by_side

RISK = "risk:eps=0.05,delta=0.1"


def answers(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (3, N, 3) of exits that are ever better, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    logits = rng.normal(size=(1, count, 3)) + 0.5 * rng.normal(size=(3, count, 3))
    logits[:, np.arange(count), labels] += np.array([[2.0], [2.5], [3.0]])
    powers = np.exp(logits)
    return (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32), labels


def measured(fruit: int) -> SideBySide:
    probabilities, labels = answers(0, fruit)
    context = PolicyContext(
        macs=(100, 200, 400),
        thresholds={"threshold": Thresholds("confidence", (0.9, 0.9))},
        read_calibration=lambda: CalibrationSet(probabilities, np.arange(fruit), labels),
    )
    tested, true = answers(1, 300)
    evaluated = EvaluationSet(true, [str(row) for row in range(300)], ("A", "B & co", "C <last>"), ordinal=True)
    return side_by_side(context, RISK, tested, evaluated)


@pytest.fixture(scope="module")
def found() -> SideBySide:
    return measured(200)


def test_every_usual_policy_meets_both_rules(found: SideBySide) -> None:
    pairs = [(one.policy, one.decide) for one in found.combinations]
    policies = ["full", "exit:1", "exit:2", "threshold", "budget:50%", RISK]
    assert pairs == [(policy, decide) for policy in policies for decide in ("argmax", "conformal:alpha=0.1")]
    assert found.refused == ()
    assert all((one.review is None) == (one.decide == "argmax") for one in found.combinations)
    assert SideBySide.from_dict(found.to_dict()) == found


def test_too_few_fruit_are_a_reason_and_not_a_row() -> None:
    few = measured(30)
    assert RISK not in {one.policy for one in few.combinations}
    assert "45 calibration fruit" in {one.name: one.reason for one in few.refused}[RISK]


def test_the_advice_has_the_options_to_paste_and_the_figures_of_the_run(found: SideBySide) -> None:
    by_option = {one.take: one.expect for one in advice(found.combinations, RISK)}
    plain = {one.policy: one for one in found.combinations if one.decide == "argmax"}
    for policy in ("full", "budget:50%", RISK):
        assert f"{100 * plain[policy].answers.accuracy.value:.1f} % correct" in by_option[f"--policy {policy}"]
    assert f"{100 * plain['budget:50%'].work.value:.1f} % of its work" in by_option["--policy budget:50%"]
    sets = next(one for one in found.combinations if (one.policy, one.decide[:9]) == ("full", "conformal"))
    assert sets.review is not None
    assert f"{100 * sets.review.value:.1f} % are for review" in by_option["--policy full --decide conformal:alpha=0.1"]
    assert {"--policy deadline:25ms", "--decide cost:prices.csv"} <= set(by_option)
    assert advice((), "full") == ()


def test_report_and_card_show_them_side_by_side(data: ReportData, found: SideBySide) -> None:
    whole = replace(data, combinations=found.combinations, default_policy=RISK, refused=(("x<y", "too few"),))
    page, card = render_report(whole), model_card(whole)
    for shown in ("budget:50%", "--policy budget:50%", f"--policy {RISK}", "for review, conformal:alpha=0.1", "x&lt;y"):
        assert shown in page
    assert f"| {RISK} (default) |" in card
    assert "| `--policy budget:50%` |" in card
    assert "budget:50%" not in render_report(data)
