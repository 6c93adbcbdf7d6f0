from collections.abc import Mapping

import numpy as np
import pytest
import torch
from contracts.cases import SPACES
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LiteConfig
from mango_grader.models import AnytimeClassifier, build_network
from mango_grader.models.transfer import fitted_to

LITE = LiteConfig(32, 32, 5, channels=(8, 12), blocks=(1, 2), strides=(2, 2), exits=(1, 2), kernels=(3, 5))


def tensors(net: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in net.state_dict().items() if value.ndim}


def drawn(space: SearchSpace) -> tuple[Architecture, AnytimeClassifier]:
    architecture = space.sample(np.random.default_rng(0))
    return architecture, build_network(space.derive(architecture))


def assert_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert set(one) == set(other)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("config", SPACES.values(), ids=SPACES)
def test_a_network_lends_itself_and_its_super_net_all_that_it_has(config):
    space = SearchSpace(config)
    (architecture, network), supernet = drawn(space), space.supernet()
    lender = tensors(network)
    assert_same(fitted_to(lender, lender), lender)
    supernet.load_state_dict(fitted_to(tensors(supernet), lender, supernet.shared), strict=False)
    lent = build_network(space.derive(architecture)).eval()
    lent.load_state_dict(supernet.weights_for(architecture))
    images = torch.randn(2, 3, config.height, config.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for own, other in zip(lent(images), network.eval()(images), strict=True):
            torch.testing.assert_close(own, other)


def test_what_was_found_on_other_fruit_starts_all_but_the_answers():
    other_fruit = SearchSpace(LiteConfig(**{**vars(LITE), "classes": 3}))
    largest = {d.name: ("k5e6",) for d in other_fruit.decisions}
    lender = tensors(build_network(other_fruit.derive(Architecture(other_fruit.config, largest))))
    supernet = tensors(SearchSpace(LITE).supernet())
    lent = fitted_to(supernet, lender)
    assert {name for name, tensor in supernet.items() if 5 not in tensor.shape[:1]} == set(lent)
    depthwise = lender["nodes.block3/residual/k5e6.2.0.weight"]
    assert torch.equal(lent["nodes.block3/residual/k5e6.2.0.weight"], depthwise)
    assert torch.equal(lent["nodes.block3/residual/k3e6.2.0.weight"], depthwise[:, :, 1:-1, 1:-1])


def test_a_node_of_other_widths_gets_nothing_at_all():
    narrow = SearchSpace(LiteConfig(**{**vars(LITE), "first_channels": 8}))
    lent = fitted_to(tensors(SearchSpace(LITE).supernet()), tensors(drawn(narrow)[1]))
    nodes = {name.split(".")[1] for name in lent}
    assert "stem" in nodes
    assert "first" not in nodes
    assert not any(node.startswith("block1/") for node in nodes)
