"""Derived networks of every space export, every operation of the space among them, and all exits agree with torch."""

import numpy as np
import pytest
from cases import SPACES
from exporting import check_exported

from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.models.spec import NetworkSpec

SAMPLES = 60


def showing_every_operation(config: SpaceConfig) -> list[NetworkSpec]:
    """Return few networks in which every operation, with its kernel, stride and so on, occurs that occurs in many.

    The one that chooses as little as it can is among them.
    """
    space, rng = SearchSpace(config).final, np.random.default_rng(0)
    least = space.nearest({decision.name: np.full(len(decision.candidates), -1.0) for decision in space.decisions})
    networks = [space.derive(space.sample(rng)) for _ in range(SAMPLES)]
    left = {node.op for network in networks for node in network.nodes}
    picked = [space.derive(least)]
    while left:
        best = max(networks, key=lambda network: len(left & {node.op for node in network.nodes}))
        left -= {node.op for node in best.nodes}
        picked.append(best)
    return picked


@pytest.mark.parametrize("config", SPACES.values(), ids=SPACES.keys())
def test_networks_with_every_operation_export_and_agree(config: SpaceConfig) -> None:
    for network in showing_every_operation(config):
        check_exported(network)
