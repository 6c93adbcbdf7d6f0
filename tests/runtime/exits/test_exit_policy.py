from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits import ExitAt, ExitPolicy, Full, Reached, Threshold, parse_exit_policy, stop_exits
from mango_grader.runtime.inference.model_context import policy_context

SURE = np.array([[0.95, 0.05], [0.6, 0.4], [0.2, 0.8]], np.float32)


def at(exit_index: int) -> Reached:
    """Return images that have had the same answer at every exit up to this one."""
    return Reached(np.stack([SURE] * (exit_index + 1)))


def test_full_settles_nothing_early() -> None:
    assert not any(Full().settled(at(index)).any() for index in range(3))


def test_exit_at_settles_all_rows_there() -> None:
    assert not ExitAt(1).settled(at(0)).any()
    assert ExitAt(1).settled(at(1)).all()


def test_threshold_compares_the_largest_probability_of_its_exit() -> None:
    policy = Threshold((0.9, 0.8))
    assert policy.settled(at(0)).tolist() == [True, False, False]
    assert policy.settled(at(1)).tolist() == [True, False, True]
    assert policy.settled(at(2)).all()


def test_stored_answers_stop_where_the_policy_says() -> None:
    assert stop_exits(Threshold((0.9, 0.8)), np.stack([SURE] * 3)).tolist() == [0, 2, 1]


def test_texts_name_policies(bundle: Path) -> None:
    context = policy_context(Bundle.open(bundle))
    named = {"full": Full(), "exit:1": ExitAt(0), "exit:2": ExitAt(1), "threshold": Threshold((0.6,))}
    assert {text: parse_exit_policy(text, context) for text in named} == named
    assert all(isinstance(policy, ExitPolicy) for policy in named.values())
    assert [str(policy) for policy in named.values()] == ["full", "exit:1", "exit:2", "threshold:0.6"]


@pytest.mark.parametrize(
    "text",
    ["", "exit", "exit:", "exit:0", "exit:3", "exit:-1", "exit:²", "exit:" + "9" * 5000, "Full", "full:", "full:1",
     "threshold:1.5", "threshold:0.5,0.6"],
)  # fmt: skip
def test_other_texts_are_refused(bundle: Path, text: str) -> None:
    with pytest.raises(UsageError, match="policy"):
        parse_exit_policy(text, policy_context(Bundle.open(bundle)))


def test_a_threshold_that_was_never_tuned_is_refused(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "m.mango", policies={})
    with pytest.raises(UsageError, match="no thresholds were tuned"):
        parse_exit_policy("threshold", policy_context(Bundle.open(path)))


def test_thresholds_of_an_unknown_signal_are_refused(bundle: Path) -> None:
    context = replace(policy_context(Bundle.open(bundle)), thresholds={"threshold": Thresholds("mood", (0.6,))})
    with pytest.raises(UsageError, match="signal 'mood'"):
        parse_exit_policy("threshold", context)
