"""Binary gates: which candidates a step runs, which it moves, and where to."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from mixed import MixedConfig
from scipy.stats import chisquare

from mango_grader.automl.cost import macs
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.relaxations.binary_gates import BinaryGates, BinaryGateSettings, Opened
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.models.spec import IMAGE, Node

DECISIONS = (
    Decision("one", ("a", "b", "c", "d")),
    Decision("two", tuple("abcdef"), 2, 2, groups=((0, 1), (2, 3, 4), (5,))),
    Decision("free", ("a", "b", "c"), 1, 3),
)
SIZE = sum(len(decision.candidates) for decision in DECISIONS)


@dataclass(frozen=True)
class TryOutConfig(SpaceConfig):
    """A chain with one decision of each sort, whose later candidates are larger convolutions."""

    kind: ClassVar[str] = "test-binary-gates"

    def decisions(self) -> tuple[Decision, ...]:
        return DECISIONS

    def graph(self) -> SearchGraph:
        nodes: list[Node | Choice] = []
        previous, channels = IMAGE, 3
        for decision in DECISIONS:
            branches = (
                Branch(name, Convolution(channels, 4, 1 + 2 * i), (previous,))
                for i, name in enumerate(decision.candidates)
            )
            nodes.append(Choice(decision.name, decision.name, tuple(branches)))
            previous, channels = decision.name, 4
        nodes.append(Node("exit", Classifier(4, self.classes), (previous,)))
        return SearchGraph((3, self.height, self.width), tuple(nodes), ("exit",))


SPACE = SearchSpace(TryOutConfig(4, 4, 2))


def gates(seed: int = 0, **settings: object) -> BinaryGates:
    """Return gates whose logits are far from equal."""
    made = BinaryGates(SPACE, BinaryGateSettings(**settings))
    made.logits.detach().copy_(torch.from_numpy(np.random.default_rng(seed).normal(0, 1, SIZE)))
    return made


def part(flat: torch.Tensor, name: str) -> torch.Tensor:
    return dict(zip((d.name for d in DECISIONS), flat.split([len(d.candidates) for d in DECISIONS]), strict=True))[name]


def test_the_probabilities_are_how_often_samples_choose() -> None:
    binary, rng = gates(), np.random.default_rng(0)
    drawn = SPACE.frequencies([binary.sample(rng) for _ in range(1000)])
    chances = binary.preference()
    np.testing.assert_allclose(drawn["one"], chances["one"], atol=0.05)
    np.testing.assert_allclose(drawn["two"], chances["two"], atol=0.05)
    # The last of a free subset is filled up, so that it is chosen more often than its own coin says.
    none = np.prod(1 - chances["free"])
    assert np.all(drawn["free"] > chances["free"] - 0.05)
    assert drawn["free"].sum() == pytest.approx(chances["free"].sum() + none, abs=0.1)


def test_even_samples_heed_the_living_only() -> None:
    binary, rng = gates(), np.random.default_rng(0)
    part(binary.live, "one")[1] = False
    drawn = SPACE.frequencies([binary.sample_evenly(rng) for _ in range(600)])
    np.testing.assert_allclose(drawn["one"], [1 / 3, 0, 1 / 3, 1 / 3], atol=0.06)


def exact_gradient(binary: BinaryGates, name: str, slopes: torch.Tensor) -> torch.Tensor:
    """Return ∂/∂α of E[L] for L linear in the gates."""
    (gradient,) = torch.autograd.grad(binary.probabilities()[name] @ part(slopes, name), binary.logits)
    return part(gradient, name)


SLOPES = torch.from_numpy(np.random.default_rng(5).normal(0, 1, SIZE))


@pytest.mark.parametrize("name", ["one", "two"])
def test_two_paths_lead_downhill_in_the_mean(name: str) -> None:
    binary, rng = gates(), np.random.default_rng(0)
    mean = torch.stack([binary.gradient(binary.open(rng), SLOPES) for _ in range(400)]).mean(0)
    exact = exact_gradient(binary, name, SLOPES)
    assert torch.cosine_similarity(part(mean, name), exact, dim=0) > 0.9


def test_a_pair_is_drawn_by_its_probabilities_and_won_by_the_renormalised() -> None:
    binary, rng = gates(), np.random.default_rng(0)
    p = binary.preference()["one"]
    pairs, wins = np.zeros((4, 4)), np.zeros((4, 4))
    for _ in range(1000):
        opened = binary.open(rng)
        i, j = part(opened.rivals, "one").nonzero().flatten().tolist()
        pairs[i, j] += 1
        wins[i, j] += float(part(opened.weights, "one")[i].detach())
    expected = np.triu(np.outer(p, p) * (1 / (1 - p)[:, None] + 1 / (1 - p)[None, :]), 1)
    np.testing.assert_allclose(pairs / 1000, expected, atol=0.05)
    i, j = np.unravel_index(pairs.argmax(), pairs.shape)
    assert wins[i, j] / pairs[i, j] == pytest.approx(p[i] / (p[i] + p[j]), abs=0.08)


def test_all_paths_follow_the_published_formula() -> None:
    binary = gates(paths="all")
    opened = binary.open(np.random.default_rng(0))
    assert bool(opened.rivals.all())
    gradient = binary.gradient(opened, SLOPES)
    p, slopes = binary.probabilities()["one"].detach(), part(SLOPES, "one")
    expected = [sum(slopes[j] * p[j] * (float(i == j) - p[i]) for j in range(4)) for i in range(4)]
    torch.testing.assert_close(part(gradient, "one"), torch.stack(expected))
    keep = binary.probabilities()["free"].detach()
    torch.testing.assert_close(part(gradient, "free"), part(SLOPES, "free") * keep * (1 - keep))
    torch.testing.assert_close(part(gradient, "two"), exact_gradient(binary, "two", SLOPES))


def test_the_probabilities_of_all_others_stand() -> None:
    binary, rng = gates(lr=0.3), np.random.default_rng(0)
    for _ in range(20):
        before = part(binary.logits.detach(), "one").softmax(0)
        second = part(binary.logits.detach(), "two").softmax(0)
        opened = binary.open(rng)
        binary.descend(opened, SLOPES)
        for name, was in (("one", before), ("two", second)):
            now, rivals = part(binary.logits.detach(), name).softmax(0), part(opened.rivals, name)
            assert int(rivals.sum()) == 2
            torch.testing.assert_close(now[~rivals], was[~rivals])
            assert bool((now[rivals] != was[rivals]).all())


@pytest.mark.parametrize("paths", ["two", "all"])
def test_what_a_step_opens_is_legal_and_runs_rivals_at_weight_zero(paths: str) -> None:
    binary, rng = gates(paths=paths), np.random.default_rng(0)
    part(binary.live, "two")[0] = False
    for _ in range(50):
        opened = binary.open(rng)
        for decision in DECISIONS:
            weight, rivals = part(opened.weights, decision.name), part(opened.rivals, decision.name)
            chosen = tuple(
                name for name, value in zip(decision.candidates, weight.tolist(), strict=True) if value == 1.0
            )
            assert decision.allows(chosen)
            active = opened.gates[decision.name].active
            assert set(active) == set(torch.nonzero((weight > 0) | rivals).flatten().tolist())
            assert bool(binary.alive()[decision.name][list(active)].all())


def test_either_of_a_pair_makes_a_legal_choice() -> None:
    binary, rng, decision = gates(), np.random.default_rng(0), DECISIONS[1]
    for _ in range(50):
        opened = binary.open(rng)
        chosen, rivals = part(opened.weights, "two").detach() > 0, part(opened.rivals, "two")
        swapped = torch.where(rivals, ~chosen, chosen)
        assert decision.allows(tuple(decision.candidates[i] for i in swapped.nonzero().flatten().tolist()))


def test_gates_and_costs_meet_in_the_real_net() -> None:
    torch.manual_seed(0)
    binary, net = gates(), SPACE.supernet()
    opened = binary.open(np.random.default_rng(0))
    loss = net(torch.randn(2, 3, 4, 4), opened.gates)[-1].square().sum()
    (slopes,) = torch.autograd.grad(loss, opened.weights)
    assert bool((slopes[opened.rivals] != 0).all())
    assert bool((slopes[~opened.rivals & (opened.weights == 0)] == 0).all())


def test_cost_alone_drives_to_the_cheapest() -> None:
    binary, cost, rng = gates(lr=0.2), macs(SPACE), np.random.default_rng(0)
    for _ in range(150):
        binary.descend(binary.open(rng), binary.prices(cost)[1])
    chances = binary.preference()
    assert chances["one"][0] > 0.8
    assert chances["two"][0] > 0.8
    assert chances["two"][2] > 0.6
    assert chances["free"].max() < 0.1


def test_the_undecided_space_costs_one() -> None:
    assert float(BinaryGates(SPACE).prices(macs(SPACE))[0]) == pytest.approx(1.0)


def test_what_is_dropped_never_runs_again_and_the_last_stays() -> None:
    binary, rng = gates(), np.random.default_rng(0)
    binary.drop(0.8)
    alive = binary.alive()
    assert not all(values.all() for values in alive.values())
    for _ in range(100):
        for drawn in (binary.sample(rng), binary.sample_evenly(rng)):
            assert all(alive[d.name][d.candidates.index(name)] for d in DECISIONS for name in drawn.choices[d.name])
        binary.descend(binary.open(rng), SLOPES)
    favourite = binary.favourite()
    binary.drop(100.0)
    left = {d.name: tuple(np.array(d.candidates)[binary.alive()[d.name]].tolist()) for d in DECISIONS}
    assert left == favourite.choices
    assert binary.sample(rng) == favourite
    assert not binary.open(rng).rivals[: SIZE - 3].any()


def test_equal_logits_drop_nothing() -> None:
    binary = BinaryGates(SPACE)
    binary.drop(1.0 - 1e-9)
    assert bool(binary.live.all())


def test_a_restored_state_goes_on_the_same() -> None:
    def on(binary: BinaryGates, steps: range) -> BinaryGates:
        for step in steps:
            opened: Opened = binary.open(np.random.default_rng(step))
            binary.descend(opened, SLOPES)
        return binary

    whole, first, second = gates(lr=0.1), gates(lr=0.1), gates(seed=1, lr=0.1)
    for binary in (whole, first):
        on(binary, range(5)).drop(0.5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(on(whole, range(5, 9)).logits, on(second, range(5, 9)).logits)
    assert torch.equal(whole.live, second.live)


def test_a_draw_knows_its_own_probability() -> None:
    space = SearchSpace(MixedConfig(8, 8, 2))
    gates, rng = BinaryGates(space), np.random.default_rng(0)
    gates.logits.detach()[:] = torch.linspace(-0.5, 0.6, len(gates.logits))
    seen: dict[tuple[object, float], int] = {}
    for _ in range(4000):
        path, chance = gates.draw(rng)
        key = path, round(float(chance.detach().exp()), 12)
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 8 * 2 * 8  # both orders of a node's two edges, one of two, any of three
    chances = np.array([chance for _, chance in seen])
    assert chances.sum() == pytest.approx(1.0)
    assert chisquare(list(seen.values()), 4000 * chances).pvalue > 0.001


def test_a_step_up_makes_what_was_drawn_likelier() -> None:
    gates, rng = BinaryGates(SearchSpace(MixedConfig(8, 8, 2)), BinaryGateSettings(lr=0.1)), np.random.default_rng(0)
    path, chance = gates.draw(rng)
    before = gates.preference()
    gates.ascend(chance)
    after, index = gates.preference(), {d.name: d.candidates.index for d in gates.space.decisions}
    assert after["one"][index["one"](path.choices["one"][0])] > before["one"][index["one"](path.choices["one"][0])]
