"""How far architecture steps can reach: no search moves further, and one that reaches nowhere says so beforehand."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from sight import SETTINGS, searched

from mango_grader.automl.methods import (
    BetaNasSettings,
    EnasSettings,
    MethodSettings,
    MsRanasSettings,
    ProxylessNasSettings,
)
from mango_grader.automl.movement import LEAST
from mango_grader.automl.search import Search
from mango_grader.progress import SilentProgress


def _slow() -> Mapping[str, MethodSettings]:
    """Return settings of `sight.py` at rates with which its few steps can move nothing."""
    betanas, proxyless, enas, ms_ranas = (SETTINGS[name] for name in ("betanas", "proxylessnas", "enas", "ms-ranas"))
    assert isinstance(betanas, BetaNasSettings)
    assert isinstance(proxyless, ProxylessNasSettings)
    assert isinstance(enas, EnasSettings)
    assert isinstance(ms_ranas, MsRanasSettings)
    return {
        "betanas": replace(betanas, binary=replace(betanas.binary, lr=1e-3)),
        "proxylessnas": replace(proxyless, binary=replace(proxyless.binary, lr=1e-3)),
        "enas": replace(enas, steps=5, controller=replace(enas.controller, lr=1e-3)),
        "ms-ranas": replace(ms_ranas, lr=1e-3),
    }


def reach_of(search: Search) -> float:
    """Return the reach of all architecture steps of a search."""
    assert search.training is not None
    rounds = search.method.schedule(search.training.batches.per_epoch)
    return search.method.reach(sum(kind == "architecture" for round_ in rounds for kind in round_.steps()))


@pytest.mark.parametrize("method", _slow())
def test_steps_that_reach_nowhere_move_nothing(method: str) -> None:
    search = searched(method, 0, _slow()[method])
    search.run(SilentProgress())
    found = search.movement()
    assert found.decided is not None
    assert found.decided <= reach_of(search) < LEAST
    assert not found.moved


@pytest.mark.parametrize("method", _slow())
def test_steps_that_reach_far_enough_are_not_warned_of(method: str) -> None:
    assert reach_of(searched(method, 0)) > 0.5
    assert searched(method, 0).method.reach(0) < LEAST
