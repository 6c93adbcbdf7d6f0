"""The continuous relaxation, its two gradients, and what is derived from it."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from mixed import MixedConfig, search_of

from mango_grader.automl.methods.ms_ranas import GroupSoftmax, MsRanas, MsRanasSettings
from mango_grader.automl.search import Search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SharedStep
from mango_grader.automl.spaces import Decision
from mango_grader.progress import SilentProgress
from mango_grader.training.recipe import WeightRecipe

FAST = WeightRecipe(optimiser="sgd", lr=0.5, final_lr=0.5, momentum=0.5, weight_decay=0.01)
SETTINGS = MsRanasSettings(epochs=2, lr=0.05, weights=FAST)


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def ranas(settings: MsRanasSettings, *, smooth: bool = False) -> tuple[Search, MsRanas, SharedStep]:
    """Return a search whose shared weights took two steps, so that there is momentum."""
    search = search_of(MsRanas, settings, MixedConfig(8, 8, 2, smooth=smooth))
    assert search.training is not None
    assert isinstance(search.method, MsRanas)
    for step in range(2):
        search.training.step(step, 10, search.method.gates(np.random.default_rng(0)))
    return search, search.method, SharedStep(search.training, 0)


def test_one_softmax_per_group_and_nothing_takes_its_share() -> None:
    node = Decision("node", ("a", "b", "c"), 2, 2, groups=((0, 2), (1,)), zero=True)
    alphas = torch.tensor([0.0, 1.0, 2.0, 0.5, -1.0])  # two for nothing behind the three candidates'
    first, second = torch.softmax(torch.tensor([0.0, 2.0, 0.5]), 0), torch.softmax(torch.tensor([1.0, -1.0]), 0)
    torch.testing.assert_close(GroupSoftmax(node)(alphas), torch.stack([first[0], second[0], first[1]]))
    plain = replace(node, zero=False)
    torch.testing.assert_close(GroupSoftmax(plain)(alphas[:3]).sum(), torch.tensor(2.0))
    one = Decision("one", ("a", "b", "c"))
    torch.testing.assert_close(GroupSoftmax(one)(alphas[:3]), torch.softmax(alphas[:3], 0))


def test_each_candidate_of_a_free_subset_is_weighed_for_itself() -> None:
    weights = GroupSoftmax(Decision("any", ("a", "b"), 0, 2))(torch.tensor([2.0, -3.0, 0.0, 0.0]))
    torch.testing.assert_close(weights, torch.sigmoid(torch.tensor([2.0, -3.0])))


def test_everything_runs_and_weight_steps_move_no_alpha() -> None:
    _, method, _ = ranas(SETTINGS)
    gates = method.gates(np.random.default_rng(0))
    assert all(gate.active == tuple(range(len(method.preference()[name]))) for name, gate in gates.items())
    assert not any(gate.weight is None or gate.weight.requires_grad for gate in gates.values())


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("order", [1, 2])
def test_the_gradient_is_that_of_the_loss_by_brute_force(order: int) -> None:
    _, method, shared = ranas(replace(SETTINGS, order=order), smooth=True)
    _, slope = method.slope(shared)

    def loss() -> float:  # of the weights as they are, or one step ahead under these very α
        gates = method.gates(np.random.default_rng(0))
        ahead = shared.virtual_step(gates, shared.rate) if order == 2 else None
        return float(shared.held_out_loss(gates, ahead).detach())

    expected = torch.zeros_like(slope)
    for index in range(len(slope)):
        values = []
        for distance in (5e-3, -5e-3):
            with torch.no_grad():
                method.alphas[index] += distance
            values.append(loss())
            with torch.no_grad():
                method.alphas[index] -= distance
        expected[index] = (values[0] - values[1]) / 1e-2
    torch.testing.assert_close(slope, expected, rtol=0.01, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.usefixtures("double")
def test_without_a_step_ahead_both_orders_agree() -> None:
    gradients = []
    for order in (1, 2):
        _, method, shared = ranas(replace(SETTINGS, order=order), smooth=True)
        gradients.append(method.slope(shared)[1])
        for group in shared.training.optimiser.param_groups:
            group["lr"] = 0.0
        gradients.append(method.slope(shared)[1])
    assert not torch.allclose(gradients[0], gradients[2], rtol=0.05)
    torch.testing.assert_close(gradients[1], gradients[3])


@pytest.mark.parametrize("order", [1, 2])
def test_architecture_steps_leave_the_weights_alone(order: int) -> None:
    search, method, shared = ranas(replace(SETTINGS, order=order))
    net = shared.training.net
    before, alphas = {n: p.detach().clone() for n, p in net.named_parameters()}, method.alphas.detach().clone()
    figures = method.update(search.arch_step(0, np.random.default_rng(0)))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())
    assert not torch.equal(method.alphas, alphas)
    assert all(np.isfinite(float(value)) for value in figures.values())


def test_alpha_learns_what_helps() -> None:
    search, method, _ = ranas(SETTINGS)
    losses = [float(method.update(search.arch_step(0, np.random.default_rng(0)))["held_out_loss"]) for _ in range(15)]
    assert losses[-1] < losses[0] - 0.01


def test_the_strongest_edges_but_never_nothing() -> None:
    space = SearchSpace(MixedConfig(8, 8, 2))
    method = MsRanas(space, lambda _: True, SETTINGS)
    with torch.no_grad():  # node: 4 edges, 2 for nothing; one: 2; any: 3, 3 for nothing
        method.alphas.copy_(torch.tensor([1.0, 2, 0, -1, 9, 9, 0, 3, 1, -1, 0.1, 0, 0, 0.2]))
    found = method.finish(lambda _: 0.0, np.random.default_rng(0))
    assert found.choices == {"node": ("image-k3", "stem-k1"), "one": ("k3",), "any": ("stem",)}
    assert float(method.preference()["node"].sum()) < 0.01  # nothing had nearly all the weight


def test_the_plan_alternates_after_the_warm_up() -> None:
    method = MsRanas(SearchSpace(MixedConfig(8, 8, 2)), lambda _: True, replace(SETTINGS, warmup=1))
    kinds = [list(round_.steps()) for round_ in method.schedule(3)]
    assert kinds == [["weights"] * 3, *[["architecture", "weights"] * 3] * 2]


def test_a_resumed_method_goes_on_alike() -> None:
    search, method, _ = ranas(SETTINGS)
    method.update(search.arch_step(0, np.random.default_rng(0)))
    other = MsRanas(method.space, method.feasible, SETTINGS)
    other.load_state_dict(deepcopy(method.state_dict()))
    for one in (method, other):
        one.update(search.arch_step(1, np.random.default_rng(0)))
    assert torch.equal(method.alphas, other.alphas)


def test_a_whole_search_ends_with_a_result() -> None:
    search = search_of(MsRanas, SETTINGS)
    assert search.run(SilentProgress()).choices.keys() == search.method.preference().keys()
    assert [row["phase"] for row in search.history] == ["search-architecture-weights"] * 2


def test_a_large_cost_weight_teaches_what_is_cheap() -> None:
    search, method, _ = ranas(replace(SETTINGS, cost_weight=1000.0))
    for step in range(30):
        figures = method.update(search.arch_step(step, np.random.default_rng(0)))
    assert method.preference()["one"][0] > 0.7
    assert float(figures["expected_cost"]) < 0.8
