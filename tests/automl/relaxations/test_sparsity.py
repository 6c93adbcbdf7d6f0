"""APG-NAG, and the costs that weigh its pull."""

import numpy as np
import pytest
import torch
from mixed import MixedConfig

from mango_grader.automl.cost import macs
from mango_grader.automl.relaxations.sparsity import ApgNag, BlockShares, memory_shares, pulls_in, soft_threshold
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import DagConfig
from mango_grader.models.operations import Convolution, Normalise

DAG = DagConfig(8, 8, 2, channels=8, stages=(2, 1), levels=2, operations=("sep3", "max3"), share=False, exits=(2, 3))


def test_the_soft_threshold_gives_exact_zeros() -> None:
    made = soft_threshold(torch.tensor([0.5, 0.1, -0.1, 0.05, -0.7]), torch.tensor(0.1))
    torch.testing.assert_close(made, torch.tensor([0.4, 0.0, 0.0, 0.0, -0.6]))
    assert made[1:4].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("nonnegative", [True, False])
def test_apg_nag_follows_its_three_equations(nonnegative: bool) -> None:
    rng = np.random.default_rng(0)
    eta, mu = 0.1, 0.9
    ahead, velocity = np.ones(6), np.zeros(6)
    factors = ApgNag(torch.ones(6, dtype=torch.float64), eta, mu, nonnegative)
    zeros = 0
    for _ in range(60):
        slope, gamma = rng.normal(0.3, 1.0, 6), rng.random(6)
        z = ahead - eta * slope
        thresholded = np.sign(z) * np.maximum(np.abs(z) - eta * gamma, 0)
        velocity = thresholded - ahead + mu * velocity
        ahead = thresholded + mu * velocity
        if nonnegative:
            ahead = np.maximum(ahead, 0)
        factors.step(torch.from_numpy(slope), torch.from_numpy(gamma))
        np.testing.assert_allclose(factors.ahead.numpy(), ahead)
        left = thresholded if nonnegative else np.abs(thresholded)
        np.testing.assert_allclose(factors.margin.clamp(min=0).numpy(), np.maximum(left, 0), atol=1e-12)
        np.testing.assert_array_equal(factors.margin.numpy() > 0, left > 0)
        zeros += int((thresholded == 0).sum())
    assert zeros


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_what_is_foreseen_comes_where_nothing_else_happens(steps: int) -> None:
    rng = np.random.default_rng(0)
    factors = ApgNag(torch.from_numpy(rng.uniform(1.0, 2.0, 5)), 0.1, 0.9, nonnegative=True)
    factors.step(torch.from_numpy(rng.normal(0.0, 0.1, 5)), torch.full((5,), 0.01))
    slope = torch.from_numpy(rng.normal(0.0, 0.1, 5))
    expected = factors.foreseen(slope, steps)
    pulled = expected - 0.1 * 0.02 * pulls_in(steps, 0.9)
    for number in range(steps):
        factors.step(slope if number == 0 else torch.zeros(5), torch.full((5,), 0.02))
    torch.testing.assert_close(factors.margin, pulled)


def test_a_step_that_stops_leaves_no_momentum_behind() -> None:
    factors = ApgNag(torch.ones(2), 0.1, 0.9, nonnegative=True)
    factors.step(torch.zeros(2), torch.full((2,), 1.0))
    before = factors.ahead.clone()
    factors.step(torch.zeros(2), torch.full((2,), 1.0), stop=True)
    torch.testing.assert_close(factors.ahead, before - 0.1)
    assert factors.velocity.tolist() == [0.0, 0.0]


def test_without_a_slope_what_is_pruned_stays_so() -> None:
    factors = ApgNag(torch.tensor([0.2, 1.0]), 0.1, 0.9, nonnegative=True)
    for _ in range(20):
        factors.step(torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert factors.ahead.tolist() == [0.0, 1.0]
    assert (factors.margin > 0).tolist() == [False, True]


def test_the_pull_follows_what_each_block_still_costs() -> None:
    space = SearchSpace(DAG)
    shares = BlockShares(space, macs(space))
    kept = {decision.name: decision.candidates for decision in space.decisions}
    assert set(shares.of(kept).values()) == {1.0}
    kept["block1.out"] = ("level1-sep3",)  # what lies behind is dead, and all of level 2 with it
    found = shares.of(kept)
    separable, project = 8 * 9 + 8 * 8, 8 * 8  # per position, channels 8
    assert (
        found["block1.out"] == found["block1.level1-max3.in"] == (separable + project) / (2 * separable + 4 * project)
    )
    assert found["block2.out"] == 1.0
    kept["block1.out"] = ()
    assert shares.of(kept)["block1.level2-sep3.in"] == 0.0


def test_shared_decisions_count_all_their_blocks() -> None:
    space = SearchSpace(DagConfig(8, 8, 2, channels=8, stages=(1, 1), levels=1, exits=(1, 2)))
    shares = BlockShares(space, macs(space))
    kept = {decision.name: decision.candidates for decision in space.decisions}
    whole = shares.of(kept)
    assert set(shares.of({**kept, "out": ()}).values()) == {0.0}
    assert set(whole.values()) == {1.0}


def test_an_edge_into_an_operation_costs_what_the_operation_does() -> None:
    shares = memory_shares(SearchSpace(DAG))
    positions = 8 * 8
    project = Convolution(8, 8, activate=False, norm=False).params()
    norm = Normalise(8).params()
    out = (2 * 8 * positions + project) + (2 * 8 * positions + norm)
    dearest = 2 * 16 * positions // 4 + 16 * 16 + 2 * 16 * positions // 4 + 2 * 16  # of the third block, half the size
    np.testing.assert_allclose(shares["block1.level2-max3.in"], [2 * 8 * positions / max(out, dearest)] * 3)
    np.testing.assert_allclose(shares["block1.out"], [out / max(out, dearest)] * 4)


def test_a_node_with_other_inputs_is_nobodys_cost() -> None:
    shares = memory_shares(SearchSpace(MixedConfig(8, 8, 2)))
    assert shares["one"][1] > shares["one"][0]  # 3×3 has more weights, and the sum behind counts for neither
    assert len(set(shares["any"])) == 1
    assert max(values.max() for values in shares.values()) == 1.0
