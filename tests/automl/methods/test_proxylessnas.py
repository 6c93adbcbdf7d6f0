"""ProxylessNAS: whose paths train, and gates that learn by gradient or from scores alone."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from mixed import MixedConfig, search_of

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import macs
from mango_grader.automl.methods.proxylessnas import ProxylessNas, ProxylessNasSettings, ReinforceSettings
from mango_grader.automl.objective import Objective
from mango_grader.automl.relaxations import BinaryGateSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep

FAST = BinaryGateSettings(lr=0.1)
SPACE = SearchSpace(MixedConfig(8, 8, 2))
BY_SCORES = ProxylessNasSettings(gradient="reinforce", binary=FAST)


def steps_by_scores(
    settings: ProxylessNasSettings,
    score: Callable[[Architecture], float],
    objective: Objective = Objective(),  # noqa: B008 (frozen)
    feasible: Callable[[Architecture], bool] = lambda _: True,
) -> ProxylessNas:
    method, rng = ProxylessNas(SPACE, feasible, settings), np.random.default_rng(0)
    for _ in range(60):
        method.update(ArchStep(objective, macs(SPACE), score, rng))
    return method


def test_all_paths_train_alike_at_first_and_the_favourites_later() -> None:
    method, rng = ProxylessNas(SPACE, lambda _: True, ProxylessNasSettings()), np.random.default_rng(0)

    def share() -> float:
        return float(np.mean([method.gates(rng)["one"].active == (0,) for _ in range(400)]))

    assert share() == pytest.approx(0.5, abs=0.1)
    method.binary.logits.detach()[4] = 2.0  # the first candidate of "one", behind the four of "node"
    assert share() == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.06)


def test_the_warm_up_comes_before_the_epochs() -> None:
    method = ProxylessNas(SPACE, lambda _: True, ProxylessNasSettings(epochs=2, warmup=1, interval=4))
    rounds = [list(round_.steps()) for round_ in method.schedule(8)]
    assert rounds == [["weights"] * 8] + [[*["weights"] * 4, "architecture"] * 2] * 2


def test_the_latency_loss_makes_cheap_candidates_likelier() -> None:
    settings = ProxylessNasSettings(binary=replace(FAST, cost_weight=1000.0))
    search, rng = search_of(ProxylessNas, settings), np.random.default_rng(0)
    for step in range(30):
        figures = search.method.update(search.arch_step(step, rng))
    assert search.method.preference()["one"][0] > 0.7
    assert float(figures["expected_cost"]) < 0.8


def test_scores_alone_teach_which_candidate_is_right() -> None:
    settings = replace(BY_SCORES, reinforce=ReinforceSettings(cost_exponent=0.0))
    method = steps_by_scores(settings, lambda path: float(path.choices["one"] == ("k3",)))
    assert method.preference()["one"][1] > 0.8
    assert method.baseline == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("metric", ["accuracy", "kappa"])
def test_of_equal_scores_the_cheaper_has_the_higher_reward(metric: str) -> None:
    settings = replace(BY_SCORES, reinforce=ReinforceSettings(cost_exponent=2.0))
    objective = Objective("kappa") if metric == "kappa" else Objective()
    method = steps_by_scores(settings, lambda _: -0.3 if metric == "kappa" else 0.3, objective)
    assert method.preference()["one"][0] > 0.8


def test_what_is_beyond_the_limits_is_not_run_and_earns_nothing() -> None:
    run: list[Architecture] = []
    method = steps_by_scores(
        BY_SCORES, lambda path: run.append(path) or 1.0, feasible=lambda p: p.choices["one"] == ("k1",)
    )
    assert {path.choices["one"] for path in run} == {("k1",)}
    assert method.preference()["one"][0] > 0.8


def test_a_restored_search_by_scores_goes_on_the_same() -> None:
    whole, resumed = search_of(ProxylessNas, BY_SCORES), search_of(ProxylessNas, BY_SCORES)
    whole.method.update(whole.arch_step(0, np.random.default_rng(0)))
    resumed.method.load_state_dict(deepcopy(whole.method.state_dict()))
    figures = [each.method.update(each.arch_step(1, np.random.default_rng(1))) for each in (whole, resumed)]
    assert figures[0] == figures[1]
    for name, chances in whole.method.preference().items():
        np.testing.assert_array_equal(chances, resumed.method.preference()[name])
