from dataclasses import replace

import numpy as np
import pytest
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LiteConfig
from mango_grader.models import build_network

SEARCHED = LiteConfig(32, 32, 5, channels=(8, 12), blocks=(1, 2), strides=(2, 2), exits=(1, 2), halving="searched")


@pytest.mark.parametrize("way", ["early", "late"])
def test_a_searched_resolution_gives_the_network_that_has_it_fixed(way):
    space, rng = SearchSpace(SEARCHED), np.random.default_rng(0)
    blocks = {name: chosen for name, chosen in space.sample(rng).choices.items() if name != "halving"}
    chosen = space.derive(Architecture(SEARCHED, blocks | {"halving": (way,)}))
    fixed_config = replace(SEARCHED, halving=way)
    fixed = SearchSpace(fixed_config).derive(Architecture(fixed_config, blocks))
    assert [node.op for node in chosen.nodes] == [node.op for node in fixed.nodes]
    assert chosen.macs() == fixed.macs()
    one, other = build_network(chosen).eval(), build_network(fixed).eval()
    for mine, yours in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        mine.copy_(yours)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for answer, expected in zip(one(images), other(images), strict=True):
            torch.testing.assert_close(answer, expected)


def test_halving_late_costs_stem_and_fixed_block_four_times_and_the_rest_as_much():
    def macs_of(way: str) -> tuple[int, int]:
        config = replace(SEARCHED, halving=way)
        space = SearchSpace(config)
        macs = space.derive(space.sample(np.random.default_rng(0))).node_macs()
        fixed = macs["stem"] + macs["first"]
        return fixed, sum(macs.values()) - fixed

    early, late, none = map(macs_of, ("early", "late", "none"))
    assert late[0] == none[0] == 4 * early[0]
    assert late[1] == early[1]
    assert none[1] > 3 * early[1]


def test_another_halving_is_refused():
    with pytest.raises(ValueError, match="early, late, searched, none, got never"):
        replace(SEARCHED, halving="never")
