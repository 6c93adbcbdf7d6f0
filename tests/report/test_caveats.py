from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl.movement import Movement, Pick
from mango_grader.datasets.probe import ProbeResult
from mango_grader.datasets.summary import DataSummary
from mango_grader.report import ReportData
from mango_grader.report.caveats import limits, warnings
from mango_grader.report.formatting import amount, estimate, field, flat, points
from mango_grader.training.bootstrap import Difference, Estimate
from mango_grader.training.metrics import EvaluationSet, exit_metrics


def measured(
    correct: list[int], groups: list[str], confidence: float = 0.7, labels: list[int] | None = None
) -> ReportData:
    truth = np.array(labels or [0, 1] * (len(correct) // 2))
    answers = np.where(np.array(correct) == 1, truth, 1 - truth)
    probabilities = np.where(np.arange(2) == answers[:, None], confidence, 1 - confidence)[None]
    exits = exit_metrics(probabilities, EvaluationSet(truth, groups, "AB", ordinal=False), [1], [1])
    return ReportData(title="t", classes=("A", "B"), ordinal=False, exits=exits)


def sound() -> ReportData:
    correct = [1, 1, 1, 1, 1, 1, 1, 0, 0, 1] * 30
    return measured(correct, [str(index) for index in range(300)], confidence=0.8)


def test_sound_figures_give_no_warning() -> None:
    assert warnings(sound()) == ()


def test_a_search_that_did_not_move_is_warned_of_right_after_guessing() -> None:
    still = replace(sound(), movement=Movement(decided=0.001, chance=0.01), notes=("Noted.",))
    first, second = warnings(still)
    assert first.startswith("THE SEARCH DID NOT MOVE: 0.1 % of what was open is decided (by chance up to 1.0 %). Its")
    assert second == "Noted."
    unpruned = replace(sound(), movement=Movement(kept=(72, 72), kept_macs=1.0))
    assert warnings(unpruned)[0].startswith("THE SEARCH DID NOT MOVE: 72 of 72 candidates are left, with 100.0 % of")
    for moved in (Movement(decided=0.3, chance=0.01), Movement(kept=(20, 72)), Movement(), None):
        assert warnings(replace(sound(), movement=moved)) == ()


def test_candidates_that_scores_cannot_tell_apart_are_warned_of() -> None:
    (line,) = warnings(replace(sound(), movement=Movement(pick=Pick(100, 0.03, 0.05, 0.02))))
    assert line.startswith(
        "The search's scores could not tell its candidates apart: the best of 100 scored 0.050 above"
    )
    assert "scores up to 0.066 above it by chance" in line
    assert warnings(replace(sound(), movement=Movement(pick=Pick(100, 0.03, 0.08, 0.02)))) == ()


def test_few_groups_are_warned_of() -> None:
    first, second = warnings(measured([1, 1, 1, 0, 1, 1, 1, 1, 1, 1], list("abcdefghij"), 0.9))
    assert first.startswith("Too few to tell whether the model beats guessing: 10 test groups")
    assert second.startswith("Only 10 groups")


def test_a_model_at_chance_is_the_first_warning() -> None:
    correct = [1, 0, 0] * 100
    first, *_ = warnings(measured(correct, [str(index) for index in range(300)], confidence=0.6))
    assert first.startswith("NO BETTER THAN GUESSING")


def test_perfection_is_not_taken_for_certainty() -> None:
    assert any("not a certainty" in line for line in warnings(measured([1] * 10, list("abcdefghij"))))


def test_one_group_has_no_interval() -> None:
    assert any("no interval" in line for line in warnings(measured([1, 0, 1, 1], ["a"] * 4)))


def test_missing_and_weak_classes_are_named() -> None:
    groups = [str(index) for index in range(200)]
    missing = measured([1, 1, 1, 1, 0] * 40, groups, 0.8, labels=[0] * 200)
    assert any("class B: nothing is known" in line for line in warnings(missing))
    weak = measured([1, 0] * 100, groups, 0.5 + 1e-9)
    assert any(line.startswith("Only 0.0 % of class B") for line in warnings(weak))


def test_confidences_that_mislead_are_warned_of() -> None:
    assert any("do not read them" in line for line in warnings(replace(sound(), exits=measured(
        [1, 1, 1, 1, 0] * 40, [str(index) for index in range(200)], 0.99
    ).exits)))  # fmt: skip


@pytest.mark.parametrize(("accuracy", "warned"), [(0.75, True), (0.33, False)])
def test_a_background_shortcut_is_warned_of(accuracy: float, warned: bool) -> None:
    summary = DataSummary("here", (), probe=ProbeResult(accuracy, 0.3, 300))
    assert any("Background shortcut" in line for line in warnings(replace(sound(), data=summary))) == warned


def test_a_policy_that_costs_accuracy_is_warned_of(data: ReportData) -> None:
    policy = data.policy
    assert policy is not None
    for loss, warned in ((0.03, True), (0.005, False), (-0.03, False)):
        changed = replace(policy, loss=Difference(loss, loss - 0.01, loss + 0.01, 0.1))
        found = warnings(replace(data, policies=(changed,)))
        assert any("Stopping early" in line for line in found) == warned


def test_notes_and_findings_come_along_and_limits_name_the_classes() -> None:
    noted = replace(sound(), notes=("Trained for 3 steps only.",), data=DataSummary("here", (), ("12 unreadable.",)))
    assert warnings(noted) == ("Trained for 3 steps only.", "12 unreadable.")
    assert "A, B" in limits(noted)[0]
    assert "300 images in 300 groups" in limits(noted)[1]


def test_how_figures_are_written() -> None:
    assert [amount(n) for n in (7, 999, 1000, 20_406_528, 99_960_000, 2.74e9)] == [
        "7", "999", "1.00 k", "20.4 M", "100 M", "2.74 G",
    ]  # fmt: skip
    assert estimate(Estimate(0.8667, 0.801, 0.924)) == "86.7 % (80.1 to 92.4)"
    assert estimate(Estimate(0.5, None, None)) == "50.0 %"
    assert estimate(None) == "–"
    assert points(Difference(-0.012, -0.03, 0.004, 0.2)) == "−1.2 points (−3.0 to +0.4)"
    assert field("a|b\nc") == r"a\|b c"
    assert dict(flat({"a": 1, "b": {"c": [1, 2.5], "d": None}})) == {"a": "1", "b.c": "1, 2.5", "b.d": "–"}
