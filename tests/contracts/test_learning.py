"""Every method learns on real weights: towards the one candidate that can solve the task, and not if it is cut off."""

from collections.abc import Mapping
from functools import cache

import pytest
from cases import LEARNING_METHODS, METHODS
from sight import SETTINGS, Progress, progress_made

from mango_grader.automl import methods
from mango_grader.automl.shared import ArchStep

SEEDS = range(10)
ENOUGH = 8
MARGIN = 0.1
_BY_SCORES = sorted(set(METHODS) - set(LEARNING_METHODS))


def test_every_method_takes_part() -> None:
    assert set(SETTINGS) == set(METHODS)


@cache
def outcomes(method: str) -> list[Progress]:
    return [progress_made(method, seed) for seed in SEEDS]


@pytest.mark.parametrize("method", METHODS)
def test_it_finds_the_only_candidate_that_can_solve_the_task(method: str) -> None:
    assert sum(each.found for each in outcomes(method)) >= ENOUGH
    if method in LEARNING_METHODS:
        assert sum(each.gained > MARGIN for each in outcomes(method)) >= ENOUGH


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_learned_says_that_it_moved(method: str) -> None:
    learned = [each for each in outcomes(method) if each.found and (each.gained > MARGIN or method in _BY_SCORES)]
    assert len(learned) >= ENOUGH
    assert all(each.movement.moved for each in learned)
    for each in learned if method in _BY_SCORES else ():
        assert each.movement.decided is None
        assert each.movement.pick is not None
        assert each.movement.pick.clear


@pytest.mark.parametrize("method", LEARNING_METHODS)
def test_its_preference_stands_still_where_its_learning_is_cut_off(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(_: object, step: ArchStep) -> Mapping[str, float]:
        return {}

    monkeypatch.setattr(methods.METHODS[method], "update", deaf)
    monkeypatch.setattr(methods.METHODS[method], "refit", lambda *_: {})
    still = [progress_made(method, seed) for seed in range(3)]
    assert not any(each.gained > MARGIN for each in still)
    assert not any(each.movement.moved for each in still), "and the search says so"
