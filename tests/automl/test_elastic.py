"""Weights that the candidates of a block share: every slice is the network of its own that it becomes."""

from dataclasses import replace

import pytest
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LiteConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.models import build_network
from mango_grader.models.elastic import ElasticResidual
from mango_grader.models.modules import build_operation
from mango_grader.models.operations import InvertedResidual
from mango_grader.models.transfer import fitted_to
from mango_grader.training.batch_norm import recalibrated_statistics

ELASTIC = LiteConfig(
    32, 32, 5, channels=(8, 12), blocks=(1, 2), strides=(2, 2), exits=(1, 2), kernels=(3, 5), elastic=True
)
LARGEST = InvertedResidual(4, 8, kernel=7, stride=2, expansion=6)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def stirred(net: torch.nn.Module) -> torch.nn.Module:
    """Give all parameters and running figures values of their own, as training does."""
    torch.manual_seed(1)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else torch.randn_like(value))
    return net


def candidates(config: LiteConfig) -> list[str]:
    return [f"k{kernel}e{expansion}" for kernel in config.kernels for expansion in config.expansions]


def of(space: SearchSpace, name: str) -> Architecture:
    return Architecture(space.config, {decision.name: (name,) for decision in space.decisions})


@pytest.mark.parametrize("squeeze", [0.0, 0.25])
@pytest.mark.parametrize("name", candidates(ELASTIC))
def test_a_derived_network_computes_what_its_slices_do(name: str, squeeze: float, images: torch.Tensor) -> None:
    space = SearchSpace(replace(ELASTIC, squeeze=squeeze))
    supernet = stirred(space.supernet()).eval()
    architecture = of(space, name)
    alone = build_network(space.derive(architecture))
    alone.load_state_dict(supernet.weights_for(architecture), strict=True)
    with torch.no_grad():
        found = alone.eval()(images)
        for own, shared in zip(found, supernet(images, gates_of(architecture, space.decisions)), strict=True):
            torch.testing.assert_close(own, shared)


def test_a_slice_is_the_middle_of_the_kernel_and_the_first_channels() -> None:
    block, small = ElasticResidual(LARGEST), replace(LARGEST, kernel=3, expansion=2)
    found, depthwise = block.slices(small), block.state_dict()["2.0.weight"]
    assert torch.equal(found["2.0.weight"], depthwise[:8, :, 2:5, 2:5])
    assert torch.equal(found["4.0.weight"], block.state_dict()["4.0.weight"][:, :8])
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in build_operation(small).state_dict().items()
    }


def test_what_a_slice_leaves_out_gets_no_gradient_from_it() -> None:
    block, small = ElasticResidual(LARGEST), replace(LARGEST, kernel=3, expansion=2)
    block.narrowed(torch.randn(2, 4, 8, 8), small).square().sum().backward()
    gradient = dict(block.named_parameters())["2.0.weight"].grad
    assert gradient is not None
    assert gradient[:8, :, 2:5, 2:5].any()
    outside = gradient.clone()
    outside[:8, :, 2:5, 2:5] = 0
    assert not outside.any()


def test_imagenet_weights_keep_their_answers_and_give_smaller_candidates_the_most_important_channels(
    images: torch.Tensor,
) -> None:
    config = LiteConfig(32, 32, 5)
    apart, together = (SearchSpace(replace(config, elastic=elastic)) for elastic in (False, True))
    lender = stirred(build_network(apart.derive(of(apart, "k5e6")))).eval()
    supernet = together.supernet()
    lent = fitted_to(supernet.state_dict(), dict(lender.state_dict()), supernet.shared)
    supernet.load_state_dict(lent, strict=False)
    with torch.no_grad():
        found = supernet.eval()(images, gates_of(of(together, "k5e6"), together.decisions))
        for own, other in zip(found, lender(images), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)
    state = supernet.state_dict()
    norm = torch.linalg.vector_norm(state["nodes.block1.4.0.weight"].flatten(1), dim=0)
    weighty = state["nodes.block1.2.1.weight"].abs() * norm
    assert torch.equal(weighty, weighty.sort(descending=True).values)


def test_a_smaller_network_lends_its_channels_as_the_first_ones(images: torch.Tensor) -> None:
    together, config = SearchSpace(ELASTIC), replace(ELASTIC, elastic=False)
    apart = SearchSpace(config)
    lender = stirred(build_network(apart.derive(of(apart, "k3e3")))).eval()
    supernet = together.supernet()
    before = supernet.state_dict()["nodes.block1.2.0.weight"].clone()
    lent = fitted_to(supernet.state_dict(), dict(lender.state_dict()), supernet.shared)
    supernet.load_state_dict(lent, strict=False)
    with torch.no_grad():
        found = supernet.eval()(images, gates_of(of(together, "k3e3"), together.decisions))
        for own, other in zip(found, lender(images), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)
    assert torch.equal(supernet.state_dict()["nodes.block1.2.0.weight"][48:], before[48:])


def test_recalibrated_statistics_of_a_slice_are_those_of_its_network(images: torch.Tensor) -> None:
    space = SearchSpace(ELASTIC)
    supernet = space.supernet()
    architecture = of(space, "k3e3")
    gates = gates_of(architecture, space.decisions)
    alone = build_network(space.derive(architecture))
    alone.load_state_dict(supernet.weights_for(architecture), strict=True)
    answers = []
    for net, run in ((supernet, lambda: supernet(images, gates)), (alone, lambda: alone(images))):
        with torch.no_grad(), recalibrated_statistics(net, lambda run=run: run() and None):
            answers.append(run())
    for own, other in zip(*answers, strict=True):
        torch.testing.assert_close(own, other)


def test_candidates_without_an_expansion_cannot_share() -> None:
    with pytest.raises(ValueError, match="elastic blocks need expansions of 2 or more"):
        replace(ELASTIC, expansions=(1, 6))


def test_other_parameters_can_stand_in_for_the_shared_ones(images: torch.Tensor) -> None:
    """As second-order methods look a step ahead."""
    space = SearchSpace(ELASTIC)
    supernet, ahead = space.supernet().eval(), stirred(space.supernet()).eval()
    gates = gates_of(of(space, "k3e3"), space.decisions)
    with torch.no_grad():
        lent = torch.func.functional_call(supernet, dict(ahead.state_dict()), (images, gates))
        for own, other in zip(lent, ahead(images, gates), strict=True):
            torch.testing.assert_close(own, other)
