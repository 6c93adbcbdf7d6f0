"""Relaxed gates: weights, gradients and paths that are cut."""

import pytest
import torch

from mango_grader.automl.limits import Limits, fitted
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.automl.supernet import Gate, gates_of

CONFIG = LayerwiseConfig(12, 12, 2, depth=2, channels=8, kernels=(3, 5), dilations=(1,), exits=(1, 2))


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(CONFIG)


def test_gradients_reach_the_gates_of_all_active_candidates(space: SearchSpace) -> None:
    torch.manual_seed(0)
    weights = {d.name: torch.full((len(d.candidates),), 0.5, requires_grad=True) for d in space.decisions}
    gates = {name: Gate(tuple(range(len(weight))), weight) for name, weight in weights.items()}
    torch.stack(space.supernet()(torch.randn(2, 3, 12, 12), gates)).square().sum().backward()
    assert all(bool(torch.isfinite(w.grad).all()) and float(w.grad.abs().sum()) > 0 for w in weights.values())


def test_a_zero_weight_runs_but_adds_nothing(space: SearchSpace) -> None:
    torch.manual_seed(0)
    net, images = space.supernet().eval(), torch.randn(2, 3, 12, 12)
    architecture = space.nearest({d.name: torch.arange(len(d.candidates), 0, -1).numpy() for d in space.decisions})
    plain = gates_of(architecture, space.decisions)
    weight = torch.tensor([1.0, 0.0], requires_grad=True)
    mixed = {**plain, "layer1.convolution": Gate((0, 1), weight)}
    for own, other in zip(net(images, plain), net(images, mixed), strict=True):
        torch.testing.assert_close(own, other)
    torch.stack(net(images, mixed)).sum().backward()
    assert weight.grad is not None
    assert float(weight.grad[1]) != 0


def test_gates_that_cut_off_an_exit_are_refused(space: SearchSpace) -> None:
    gates = {d.name: Gate(()) for d in space.decisions}
    with pytest.raises(ValueError, match="cut an exit off"):
        space.supernet()(torch.randn(1, 3, 12, 12), gates)


def test_spaces_are_narrowed_to_the_limit_and_no_further() -> None:
    wide = LayerwiseConfig(16, 16, 2, depth=3, channels=64, kernels=(3,), dilations=(1,), exits=(1, 3))
    assert fitted(wide, Limits()) == wide
    narrow = fitted(wide, Limits(max_params=5000))
    assert isinstance(narrow, LayerwiseConfig)
    assert 0.1 <= narrow.multiplier < 1
    assert fitted(wide, Limits(max_params=1)).narrower() is None
