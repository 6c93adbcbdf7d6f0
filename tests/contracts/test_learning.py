"""Every method learns on real weights: towards the one candidate that can solve the task, and not if it is cut off."""

from collections.abc import Mapping
from functools import cache

import pytest
from cases import LEARNING_METHODS, METHODS
from sight import SETTINGS, progress_made

from mango_grader.automl import methods
from mango_grader.automl.shared import ArchStep

SEEDS = range(10)
ENOUGH = 8
MARGIN = 0.1


def test_every_method_takes_part() -> None:
    assert set(SETTINGS) == set(METHODS)


@cache
def outcomes(method: str) -> list[tuple[float, bool]]:
    return [progress_made(method, seed) for seed in SEEDS]


@pytest.mark.parametrize("method", METHODS)
def test_it_finds_the_only_candidate_that_can_solve_the_task(method: str) -> None:
    assert sum(found for _, found in outcomes(method)) >= ENOUGH
    if method in LEARNING_METHODS:
        assert sum(progress > MARGIN for progress, _ in outcomes(method)) >= ENOUGH


@pytest.mark.parametrize("method", LEARNING_METHODS)
def test_its_preference_stands_still_where_its_learning_is_cut_off(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(_: object, step: ArchStep) -> Mapping[str, float]:
        return {}

    monkeypatch.setattr(methods.METHODS[method], "update", deaf)
    monkeypatch.setattr(methods.METHODS[method], "refit", lambda *_: {})
    assert not any(progress_made(method, seed)[0] > MARGIN for seed in range(3))
