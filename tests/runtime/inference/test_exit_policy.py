from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.inference.exit_policy import ExitAt, ExitPolicy, Full, Threshold, parse_exit_policy

SURE = np.array([[0.95, 0.05], [0.6, 0.4], [0.2, 0.8]], np.float32)


def test_full_settles_nothing_early() -> None:
    assert not any(Full().settled(index, SURE).any() for index in range(3))


def test_exit_at_settles_all_rows_there() -> None:
    assert not ExitAt(1).settled(0, SURE).any()
    assert ExitAt(1).settled(1, SURE).all()


def test_threshold_compares_the_largest_probability_of_its_exit() -> None:
    policy = Threshold((0.9, 0.8))
    assert policy.settled(0, SURE).tolist() == [True, False, False]
    assert policy.settled(1, SURE).tolist() == [True, False, True]
    assert policy.settled(2, SURE).all()


def test_texts_name_policies(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    named = {"full": Full(), "exit:1": ExitAt(0), "exit:2": ExitAt(1), "threshold": Threshold((0.6,))}
    assert {text: parse_exit_policy(text, manifest) for text in named} == named
    assert all(isinstance(policy, ExitPolicy) for policy in named.values())
    assert [str(policy) for policy in named.values()] == ["full", "exit:1", "exit:2", "threshold:0.6"]


@pytest.mark.parametrize(
    "text", ["", "exit", "exit:", "exit:0", "exit:3", "exit:-1", "exit:²", "exit:" + "9" * 5000, "Full", "risk"]
)
def test_other_texts_are_refused(bundle: Path, text: str) -> None:
    with pytest.raises(UsageError, match="policy"):
        parse_exit_policy(text, Bundle.open(bundle).manifest)


def test_a_threshold_that_was_never_tuned_is_refused(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "m.mango", policies={})
    with pytest.raises(UsageError, match=r"use full, exit:1 … exit:2$"):
        parse_exit_policy("threshold", Bundle.open(path).manifest)
