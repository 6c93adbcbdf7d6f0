"""The mean cost meets the budget, on fruit that the thresholds have not seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noisy_fruit import MACS, NoisyFruit, calibration_of, draw_fruit, load_stages, make_noisy_bundle

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.exits import Budget, CalibrationSet, Full, PolicyContext, parse_exit_policy, stop_exits
from mango_grader.runtime.exits.shares import NEVER, first_reached, geometric_thresholds
from mango_grader.runtime.exits.signals import SIGNALS, every_signal
from mango_grader.runtime.inference.model_context import policy_context

TEMPERATURES = (1.2, 1.1, 1.2)
COUNT = 12_000


@pytest.fixture(scope="module")
def seen() -> NoisyFruit:
    return draw_fruit(COUNT, seed=1)


@pytest.fixture(scope="module")
def fresh() -> NoisyFruit:
    return draw_fruit(COUNT, seed=2)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, seen: NoisyFruit) -> Path:
    path = tmp_path_factory.mktemp("budget") / "noisy.mango"
    return make_noisy_bundle(path, calibration_of(seen), temperatures=TEMPERATURES)


@pytest.fixture(scope="module")
def context(path: Path) -> PolicyContext:
    return policy_context(Bundle.open(path))


def spent(path: Path, policy: Budget, fruit: NoisyFruit) -> float:
    """Return the mean cost of real grading, with the stages that did not run left out."""
    exits = load_stages(path).run(fruit.images, policy).exits
    return float(np.array(MACS)[exits - 1].mean())


@pytest.mark.parametrize("text", ["110", "30%", "40%", "160", "55%", "0.25k", "70%", "85%", "380", "99%"])
def test_fresh_fruit_cost_what_was_asked(text: str, context: PolicyContext, path: Path, fresh: NoisyFruit) -> None:
    policy = parse_exit_policy(f"budget:{text}", context)
    assert isinstance(policy, Budget)
    assert spent(path, policy, fresh) == pytest.approx(policy.macs, rel=0.03)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("share", [0.835, 0.9, 0.97])  # At less, more would have to stop than agree at exit 2.
def test_every_signal_meets_the_budget(
    signal: str, share: float, context: PolicyContext, path: Path, fresh: NoisyFruit
) -> None:
    policy = Budget.of(MACS, share * MACS[-1], context.read_calibration(), [signal])
    assert policy.stops.signal == signal
    assert spent(path, policy, fresh) == pytest.approx(share * MACS[-1], rel=0.03)


@pytest.mark.parametrize("signal", ["confidence", "margin", "entropy"])
@pytest.mark.parametrize("share", [0.3, 0.45, 0.6])
def test_signals_of_one_exit_meet_small_budgets(
    signal: str, share: float, context: PolicyContext, path: Path, fresh: NoisyFruit
) -> None:
    policy = Budget.of(MACS, share * MACS[-1], context.read_calibration(), [signal])
    assert spent(path, policy, fresh) == pytest.approx(share * MACS[-1], rel=0.03)


def test_thresholds_of_other_fruit_miss_the_budget(path: Path, context: PolicyContext) -> None:
    """So the promise above can fail."""
    policy = parse_exit_policy("budget:50%", context)
    assert isinstance(policy, Budget)
    dull = draw_fruit(4000, seed=3)
    dull = replace(dull, images=dull.images // 4 + 96)
    assert spent(path, policy, dull) > 1.1 * policy.macs


def better(signal: str) -> CalibrationSet:
    """Return answers of which exactly those that a signal lets stop early are correct at exit 1."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(2, 2000, 4))
    answers = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    sure = every_signal(signal, answers)[0]
    given = answers.argmax(axis=2)
    labels = np.where(sure >= np.median(sure), given[0], given[1])
    return CalibrationSet(answers, np.arange(2000), labels)


@pytest.mark.parametrize("signal", ["confidence", "margin", "entropy"])
def test_the_signal_with_the_most_accurate_answers_is_chosen(signal: str) -> None:
    assert Budget.of((1, 3), 2, better(signal)).stops.signal == signal


def test_without_grades_the_confidence_is_used() -> None:
    answers = replace(better("entropy"), labels=None)
    assert Budget.of((1, 3), 2, answers).stops.signal == "confidence"


def test_less_than_the_first_exit_is_refused_with_the_least_possible(context: PolicyContext) -> None:
    for text in ("99", "24%", "0", "0%"):
        with pytest.raises(UsageError, match=r"exit 1 alone takes 100 multiply-adds, 25\.0% of the last exit's"):
            parse_exit_policy(f"budget:{text}", context)


def test_the_least_possible_is_the_first_exit(context: PolicyContext, path: Path, fresh: NoisyFruit) -> None:
    policy = parse_exit_policy("budget:25%", context)
    assert isinstance(policy, Budget)
    assert spent(path, policy, fresh) == pytest.approx(100, rel=0.03)


@pytest.mark.parametrize("text", ["400", "100%", "5M", "1G"])
def test_the_last_exits_cost_or_more_is_as_full(text: str, context: PolicyContext) -> None:
    answers = context.read_calibration().probabilities
    policy = parse_exit_policy(f"budget:{text}", context)
    np.testing.assert_array_equal(stop_exits(policy, answers), stop_exits(Full(), answers))
    assert isinstance(policy, Budget)
    assert policy.stops.thresholds == (NEVER, NEVER)


def test_units(context: PolicyContext) -> None:
    texts = ("0.2k", "200", "50%", "200.0", "0.0002M")
    assert len({parse_exit_policy(f"budget:{text}", context) for text in texts}) == 1


def test_the_text_tells_budget_signal_and_thresholds() -> None:
    policy = Budget.of((1, 3), 2, better("entropy"))
    assert str(policy) == f"budget:2 (threshold:entropy,{policy.stops.thresholds[0]:.9g})"


def test_images_that_are_all_alike_meet_no_budget() -> None:
    answers = CalibrationSet(np.full((3, 500, 2), 0.5), np.arange(500), np.zeros(500, int))
    with pytest.raises(UsageError, match=r"500 images, come no nearer than .* mango-grader calibrate"):
        Budget.of(MACS, 320, answers)


def test_a_model_without_calibration_data_says_what_to_do(tmp_path: Path) -> None:
    context = policy_context(Bundle.open(make_noisy_bundle(tmp_path / "m.mango")))
    with pytest.raises(UsageError, match="mango-grader calibrate"):
        parse_exit_policy("budget:50%", context)


def test_equal_values_stop_together_or_not_at_all() -> None:
    signals = np.array([[0.9] * 6 + [0.5] * 4, [0.5] * 10])
    few, most = geometric_thresholds(signals, 4), geometric_thresholds(signals, 0.5)
    assert (first_reached(signals, few) == 0).sum() == 0  # 2 of 10 are wanted; none is nearer than 6
    assert (first_reached(signals, most) == 0).sum() == 6  # 6.7 are wanted


def test_later_exits_make_up_for_one_that_is_never_sure() -> None:
    values = np.linspace(0.01, 1, 100)
    signals = np.stack([np.zeros(100), values, values])
    stops = first_reached(signals, geometric_thresholds(signals, 1.0))
    assert np.bincount(stops, minlength=3) == pytest.approx([0, 67, 33], abs=1)
