"""What every search space must keep to."""

import numpy as np
import pytest
import torch
from cases import SPACES
from torch.utils.flop_counter import FlopCounterMode

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import GraphCost, macs, params
from mango_grader.automl.graph import Choice
from mango_grader.automl.sandwich import extremes
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.models import build_network

SAMPLES = 12


@pytest.fixture(params=SPACES.values(), ids=SPACES.keys())
def config(request: pytest.FixtureRequest) -> SpaceConfig:
    return request.param


@pytest.fixture
def space(config: SpaceConfig) -> SearchSpace:
    return SearchSpace(config)


@pytest.fixture
def samples(space: SearchSpace) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(SAMPLES)]


def images(config: SpaceConfig, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, config.height, config.width, generator=torch.Generator().manual_seed(0))


def test_samples_are_legal_and_differ(space: SearchSpace, samples: list[Architecture]) -> None:
    for architecture in samples:
        assert all(decision.allows(architecture.choices[decision.name]) for decision in space.decisions)
        tokens = space.encode(architecture)
        assert all(space.legal(tokens[:place])[token] for place, token in enumerate(tokens))
    assert len(set(samples)) > SAMPLES // 2


def test_encoding_round_trips(space: SearchSpace, samples: list[Architecture]) -> None:
    assert all(space.decode(space.encode(architecture)) == architecture for architecture in samples)


def test_json_round_trips(samples: list[Architecture]) -> None:
    assert all(Architecture.from_dict(architecture.to_dict()) == architecture for architecture in samples)


def test_nearest_takes_what_scores_best(space: SearchSpace, samples: list[Architecture]) -> None:
    for wanted in samples:
        scores = {
            d.name: np.array([1.0 if name in wanted.choices[d.name] else -1.0 for name in d.candidates])
            for d in space.decisions
        }
        assert space.nearest(scores) == wanted


@pytest.mark.parametrize("price", [macs, params])
def test_expected_cost_of_a_decided_architecture_is_exact(
    space: SearchSpace, samples: list[Architecture], price: type[GraphCost]
) -> None:
    cost = price(space)
    for architecture in samples:
        np.testing.assert_allclose(cost.expected(one_hot(space, architecture)).numpy(), cost.exact(architecture))


def test_expected_cost_passes_its_gradient_on(space: SearchSpace) -> None:
    logits = {d.name: torch.zeros(len(d.candidates), requires_grad=True) for d in space.decisions}
    macs(space).expected({name: torch.softmax(value, 0) for name, value in logits.items()}).sum().backward()
    nothing = {0.0}  # what it costs to leave out a candidate of a free subset
    priced = [
        d.name
        for d in space.decisions
        if len({macs(space).operation(d.name, c) for c in d.candidates} | (nothing if d.free else set())) > 1
    ]
    assert priced
    assert all(bool(logits[name].grad.abs().sum() > 0) for name in priced)


def test_the_extremes_are_legal_and_bound_what_an_architecture_costs(space: SearchSpace) -> None:
    smallest, largest = extremes(space)
    for found in (smallest, largest):
        assert all(decision.allows(found.choices[decision.name]) for decision in space.decisions)
        assert all(cost > 0 for cost in space.derive(found).macs())
    rng = np.random.default_rng(0)
    others = [
        space.nearest({d.name: rng.normal(rng.normal(), 1, len(d.candidates)) for d in space.decisions})
        for _ in range(40)
    ]
    low, high = (macs(space).exact(found)[-1] for found in (smallest, largest))
    costs = [macs(space).exact(other)[-1] for other in others]
    assert low <= min(costs) < max(costs) <= high
    assert low < high


def test_blocks_add_up_to_the_whole(space: SearchSpace, samples: list[Architecture]) -> None:
    for architecture in samples:
        assert sum(macs(space).by_block(architecture.choices).values()) == macs(space).exact(architecture)[-1]


def test_prices_are_what_torch_counts(config: SpaceConfig, space: SearchSpace, samples: list[Architecture]) -> None:
    for architecture in samples[:4]:
        spec = space.derive(architecture)
        net = build_network(spec).eval()
        with FlopCounterMode(display=False) as counter:
            net(images(config, 1))
        assert spec.macs()[-1] == counter.get_total_flops() / 2
        assert spec.params()[-1] == sum(parameter.numel() for parameter in net.parameters())
        np.testing.assert_array_equal(spec.macs(), macs(space).exact(architecture))


def test_plain_network_computes_what_the_super_net_does(
    config: SpaceConfig, space: SearchSpace, samples: list[Architecture]
) -> None:
    torch.manual_seed(0)
    supernet = space.supernet().eval()
    for architecture in samples:
        plain = build_network(space.derive(architecture))
        plain.load_state_dict(supernet.weights_for(architecture), strict=True)
        expected = supernet(images(config), gates_of(architecture, space.decisions))
        for own, shared in zip(plain.eval()(images(config)), expected, strict=True):
            torch.testing.assert_close(own, shared)


def test_stages_compute_what_the_whole_does(
    config: SpaceConfig, space: SearchSpace, samples: list[Architecture]
) -> None:
    net = build_network(space.derive(samples[0])).eval()
    state: tuple[torch.Tensor, ...] = (images(config),)
    for whole, stage in zip(net(images(config)), net.stages, strict=True):
        logits, *state = stage(*state)
        torch.testing.assert_close(logits, whole)


def test_every_network_answers_early(space: SearchSpace, samples: list[Architecture]) -> None:
    for architecture in samples:
        costs = space.derive(architecture).macs()
        assert len(costs) >= 2
        assert list(costs) == sorted(set(costs))


def test_what_did_not_run_does_not_learn(config: SpaceConfig, space: SearchSpace, samples: list[Architecture]) -> None:
    net = space.supernet()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    before = {name: value.clone() for name, value in net.named_parameters()}
    for _ in range(2):
        logits = net(images(config, 4), gates_of(samples[0], space.decisions))
        torch.stack(logits).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    ran = {f"nodes.{node.name}." for node in space.derive(samples[0]).nodes}
    ran |= {f"nodes.{node.name}." for node in space.graph.nodes if isinstance(node, Choice) and node.shared}
    for name, value in net.named_parameters():
        if not any(name.startswith(prefix) for prefix in ran):
            assert torch.equal(value, before[name]), name


def one_hot(space: SearchSpace, architecture: Architecture) -> dict[str, torch.Tensor]:
    return {
        d.name: torch.tensor([float(c in architecture.choices[d.name]) for c in d.candidates], dtype=torch.float64)
        for d in space.decisions
    }
