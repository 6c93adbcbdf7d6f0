"""Pruning by sparse factors."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from mixed import MixedConfig, search_of

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import GraphCost, macs
from mango_grader.automl.methods.dso import Dso, DsoSettings
from mango_grader.automl.relaxations.sparsity import ApgNag, BlockShares, memory_shares, pulls_in
from mango_grader.automl.search import Search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import DagConfig
from mango_grader.progress import SilentProgress

SETTINGS = DsoSettings(
    pretrain=1, epochs=3, gamma=0.05, lr=0.5, weights=replace(DsoSettings().weights, lr=0.05, final_lr=0.05)
)
DAG = DagConfig(8, 8, 2, channels=8, stages=(1, 1), levels=2, stem_stride=2, exits=(1, 2))
RNG = np.random.default_rng(0)


def dso(settings: DsoSettings = SETTINGS, config: MixedConfig | DagConfig = DAG) -> tuple[Search, Dso]:
    search = search_of(Dso, settings, config)
    assert isinstance(search.method, Dso)
    return search, search.method


def with_factors(method: Dso, **values: list[float]) -> None:
    """Set λ by decision, all others to one, as if the last step had led there."""
    parts = [torch.tensor(values.get(d.name, [1.0] * len(d.candidates))) for d in method.space.decisions]
    whole = torch.cat(parts)
    method.load_state_dict({"ahead": whole, "velocity": torch.zeros_like(whole), "margin": whole})


def test_at_first_everything_runs_as_it_is() -> None:
    _, method = dso()
    for name, gate in method.gates(RNG).items():
        assert gate.active == tuple(range(len(method.preference()[name])))
        assert gate.weight is not None
        assert set(gate.weight.tolist()) == {1.0}


def test_the_search_prunes_some_and_the_result_is_what_is_kept() -> None:
    search, method = dso(replace(SETTINGS, epochs=10))
    found = search.run(SilentProgress())
    kept = sum(len(gate.active) for gate in method.gates(RNG).values())
    assert 0 < kept < sum(len(d.candidates) for d in method.space.decisions)
    for decision in method.space.decisions:
        gate = method.gates(RNG)[decision.name]
        assert found.choices[decision.name] == tuple(decision.candidates[index] for index in gate.active)
    assert search.history[-1]["kept"] < search.history[1]["kept"]


def test_what_is_pruned_neither_runs_nor_learns() -> None:
    search, method = dso()
    with_factors(method, out=[1.0, 0.0] + [0.0] * 6)
    training = search.training
    assert training is not None
    training.loss(training.batches[0], method.gates(RNG)).backward()
    learns = {name for name, parameter in training.net.named_parameters() if parameter.grad is not None}
    assert any(name.startswith("nodes.block1/level1-sep3.") for name in learns)
    assert not any(name.startswith("nodes.block1/level1-sep5.") for name in learns)  # nothing needs it any more


def test_the_loss_can_call_back_what_is_pruned() -> None:
    search, method = dso(replace(SETTINGS, gamma=0.0, lr=10.0))
    with_factors(method, out=[1.0] + [0.0] * 7)
    method.update(search.arch_step(0, RNG))
    assert any(method.gates(RNG)["out"].active[1:])


def test_a_clipped_slope_moves_no_factor_further() -> None:
    moved = []
    for clip in (0.0, 1e-4):
        search, method = dso(replace(SETTINGS, gamma=0.0, momentum=0.0, clip=clip))
        method.update(search.arch_step(0, RNG))
        moved.append(float((method.factors.ahead - 1).abs().max()))
    assert moved[0] > 1e-3
    assert moved[1] == pytest.approx(0.5 * 1e-4, rel=1e-2)


def test_what_must_be_chosen_is_never_pruned() -> None:
    search, method = dso(replace(SETTINGS, gamma=100.0), MixedConfig(8, 8, 2))
    for number in range(4):
        method.update(search.arch_step(number, RNG))
    active = {name: gate.active for name, gate in method.gates(RNG).items()}
    assert active["any"] == ()
    assert len(active["one"]) == 1
    assert len({index // 2 for index in active["node"]}) == len(active["node"]) == 2  # of different groups
    assert all(d.allows(method.finish(lambda _: 0.0, RNG).choices[d.name]) for d in method.space.decisions)


def test_the_last_that_must_be_chosen_is_pulled_no_more() -> None:
    search, method = dso(replace(SETTINGS, gamma=400.0, lr=0.01, momentum=0.0), MixedConfig(8, 8, 2))
    with_factors(method, one=[0.0, 0.3])
    method.update(search.arch_step(0, RNG))
    left = {name: gate.weight.tolist() for name, gate in method.gates(RNG).items() if gate.weight is not None}
    assert left["any"] == [0.0] * 3
    assert left["one"] == [0.0, pytest.approx(0.3, abs=0.02)]


@pytest.mark.parametrize("adaptive", ["none", "flops", "memory"])
def test_the_pull_is_that_of_the_chosen_cost(adaptive: str) -> None:
    after = []
    for gamma in (0.0, 0.2):
        search, method = dso(replace(SETTINGS, adaptive=adaptive, gamma=gamma, momentum=0.0))
        with_factors(method, out=[1.0] + [0.0] * 7)
        method.update(search.arch_step(0, RNG))
        gate = method.gates(RNG)["level1-sep3.in"]
        assert gate.weight is not None
        after.append(float(gate.weight[0]))
    kept = {d.name: d.candidates for d in method.space.decisions} | {"out": ("level1-sep3",)}
    shares = {
        "none": 1.0,
        "flops": BlockShares(method.space, macs(method.space)).of(kept)["level1-sep3.in"],
        "memory": memory_shares(method.space)["level1-sep3.in"][0],
    }
    assert after[0] - after[1] == pytest.approx(0.5 * 0.2 * shares[adaptive], rel=1e-3)
    assert len(set(shares.values())) == 3


def test_the_pull_follows_the_price_that_the_search_was_given() -> None:
    fallen, shares = [], []
    for price in (lambda op, inputs: op.macs(inputs), lambda op, inputs: float(op.macs(inputs) == 0)):
        search, method = dso(replace(SETTINGS, adaptive="flops", gamma=0.2, momentum=0.0))
        cost = GraphCost(method.space, "a unit", price)
        with_factors(method, out=[1.0] + [0.0] * 7)
        method.update(replace(search.arch_step(0, RNG), cost=cost))
        fallen.append(method.gates(RNG)["level1-sep3.in"].weight)
        kept = {d.name: d.candidates for d in method.space.decisions} | {"out": ("level1-sep3",)}
        shares.append(BlockShares(method.space, cost).of(kept)["level1-sep3.in"])
    assert abs(shares[0] - shares[1]) > 0.01
    assert float(fallen[0] - fallen[1]) == pytest.approx(0.5 * 0.2 * (shares[1] - shares[0]), rel=1e-3)


def test_lambda_steps_leave_the_weights_alone() -> None:
    search, method = dso()
    assert search.training is not None
    net = search.training.net
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    method.update(search.arch_step(0, RNG))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())


def test_batch_norm_scales_stay_at_one() -> None:
    search, _ = dso()
    assert search.training is not None
    search.run(SilentProgress())
    norms = [m for m in search.training.net.modules() if isinstance(m, torch.nn.BatchNorm2d) and m.affine]
    assert norms
    assert all(bool((norm.weight == 1).all()) for norm in norms)


def test_the_plan_pretrains_and_keeps_the_ratio() -> None:
    method = Dso(SearchSpace(DAG), lambda _: True, replace(SETTINGS, ratio=4, epochs=2))
    rounds = [list(round_.steps()) for round_ in method.schedule(6)]
    assert rounds[0] == ["weights"] * 6
    assert rounds[1:] == [[*["weights"] * 4, "architecture"] * 2] * 2


def test_effort_does_not_change_what_counts_as_useless() -> None:
    assert SETTINGS.scaled(0.2).gamma == SETTINGS.gamma
    aimed = replace(SETTINGS, gamma=None, keep=0.3)
    assert aimed.scaled(8.0).keep == 0.3


@pytest.mark.parametrize("given", [{"keep": 0.5}, {"gamma": None}])
def test_gamma_is_given_or_follows_what_is_to_be_kept(given: dict[str, float | None]) -> None:
    with pytest.raises(ValueError, match="set either gamma or keep, and the other to null"):
        replace(SETTINGS, **given)


@pytest.mark.parametrize("adaptive", ["none", "flops", "memory"])
@pytest.mark.parametrize("config", [DAG, MixedConfig(8, 8, 2)], ids=["dag", "mixed"])
def test_the_share_that_is_to_be_kept_is_what_is_left(adaptive: str, config: DagConfig | MixedConfig) -> None:
    keep = 0.6 if config is DAG else 0.75  # of the mixed one, more than half must stay
    search, method = dso(replace(SETTINGS, gamma=None, keep=keep, adaptive=adaptive, epochs=6, clip=0.1), config)
    found = search.run(SilentProgress())
    shares = [row["kept_macs"] for row in search.history if "kept_macs" in row]
    assert shares[0] == 1.0
    assert keep - 0.25 < shares[-1] <= keep
    complete = method.space.derive(Architecture(config, {d.name: d.candidates for d in method.space.decisions}))
    assert method.space.derive(found).macs()[-1] <= keep * complete.macs()[-1]
    kept, candidates = search.movement().kept or (0, 0)
    assert 0 < kept < candidates == sum(len(d.candidates) for d in method.space.decisions)


@pytest.mark.parametrize("steps", [1, 2, 12, 60])
def test_a_useless_factor_can_die_in_just_so_many_steps_that_reach_says(steps: int) -> None:
    weakest = 1 / (SETTINGS.lr * pulls_in(steps, SETTINGS.momentum))
    for gamma, dies in ((weakest * 1.001, True), (weakest * 0.999, False)):
        factors = ApgNag(torch.ones(1, dtype=torch.float64), SETTINGS.lr, SETTINGS.momentum, nonnegative=True)
        for _ in range(steps):
            factors.step(torch.zeros(1), torch.tensor([gamma]))
        assert bool(factors.margin <= 0) == dies
        assert Dso(SearchSpace(DAG), lambda _: True, replace(SETTINGS, gamma=gamma)).reach(steps) == dies


def test_a_resumed_method_goes_on_alike() -> None:
    search, method = dso()
    method.update(search.arch_step(0, RNG))
    other = Dso(method.space, method.feasible, SETTINGS)
    other.load_state_dict(deepcopy(method.state_dict()))
    for one in (method, other):
        one.update(search.arch_step(1, RNG))
    assert torch.equal(method.factors.ahead, other.factors.ahead)
    assert method.gates(RNG).keys() == other.gates(RNG).keys()
    assert all(gate.active == other.gates(RNG)[name].active for name, gate in method.gates(RNG).items())
