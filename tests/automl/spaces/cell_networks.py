"""A network in which every operation of the cells occurs, exported: what both spaces of cells must survive."""

from itertools import cycle

import torch
from exporting import pictures, seasoned

from mango_grader.automl.architecture import Architecture, SpaceConfig
from mango_grader.automl.spaces.cells import OPERATIONS
from mango_grader.export import check_parity, export_graphs
from mango_grader.models import NetworkSpec


def with_every_operation(config: SpaceConfig) -> Architecture:
    """Return the architecture whose nodes read their last two sources, by each operation in turn."""
    turn = cycle(reversed(OPERATIONS))  # so that a reduction cell comes to a skip, too
    choices = {}
    for decision in config.decisions():
        sources = list(dict.fromkeys(name.split(":")[0] for name in decision.candidates))[-2:]
        choices[decision.name] = tuple(f"{source}:{next(turn)}" for source in sources)
    return Architecture(config, choices)


def check_exported(spec: NetworkSpec) -> None:
    """Export with statistics worth folding, and compare every exit with torch; raises ExportError beyond 1e-4."""
    network = seasoned(spec)
    with torch.no_grad():
        for name in spec.exits:  # answers far from certain, so that differences show
            network.get_submodule(f"nodes.{name}.linear").weight.mul_(0.1)
    found = check_parity(network, export_graphs(network), pictures(6), [1.0] * len(spec.exits))
    assert len(found.staged) == len(spec.exits)
