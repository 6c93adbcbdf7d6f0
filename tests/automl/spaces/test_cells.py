"""The searched cell: what can be decided, and what a decided cell is made of."""

import numpy as np
import pytest
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import NasnetConfig
from mango_grader.automl.spaces.cells import OPERATIONS, Cell
from mango_grader.automl.supernet import Gate
from mango_grader.models.operations import CellConvolution, FactorisedReduction, Operation, Pool
from mango_grader.models.spec import NetworkSpec

# The second cell is a reduction cell whose s0 and s1 are equally large, the third has an s0 twice as large.
SPACE = SearchSpace(NasnetConfig(15, 20, 2, depth=3, channels=4, nodes=3, reduce_at=(2,), exits=(3,)))


def decided(**sources: str) -> Architecture:
    """Return an architecture by node, the same in both kinds of cell: node1="source source operation"."""
    choices = {}
    for decision in SPACE.decisions:
        first, second, operation = sources[decision.name.split(".")[1]].split()
        choices[decision.name] = (f"{first}:{operation}", f"{second}:{operation}")
    return Architecture(SPACE.config, choices)


def operations(spec: NetworkSpec, node: str) -> list[Operation]:
    return [each.op for each in spec.nodes if each.name.startswith(f"{node}/")]


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_there_are_as_many_cells_as_the_paper_counts(nodes: int) -> None:
    decisions = Cell(nodes).decisions()
    assert [len(decision.candidates) for decision in decisions] == [7 * (2 + before) for before in range(nodes)]
    # DARTS, appendix A.1: ∏ (k+1)k/2 · 7² cells, k from 1.
    assert [decision.options for decision in decisions] == [(k + 1) * k // 2 * 49 for k in range(1, nodes + 1)]


def test_a_node_never_takes_the_same_input_twice() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        for chosen in SPACE.sample(rng).choices.values():
            sources = {name.split(":")[0] for name in chosen}
            assert len(chosen) == len(sources) == 2
            seen |= sources
    assert seen == {"s0", "s1", "node1", "node2"}
    decision = Cell(2).decisions()[1]
    assert not decision.allows(("s0:skip_connect", "s0:sep_conv_3x3"))
    scores = {d.name: np.array([1.0 * name.startswith("s1:") for name in d.candidates]) for d in SPACE.decisions}
    for chosen in SPACE.nearest(scores).choices.values():
        assert [name.split(":")[0] for name in chosen] in (["s0", "s1"], ["s1", "node1"], ["s1", "node2"])


def test_nothing_is_weighed_but_no_candidate() -> None:
    for decision in SPACE.decisions:
        assert decision.zero
        assert len({name.split(":")[1] for name in decision.candidates}) == len(OPERATIONS) == 7


def test_a_skip_is_the_input_itself_but_from_the_inputs_of_a_reduction_cell() -> None:
    spec = SPACE.derive(
        decided(node1="s0 s1 skip_connect", node2="s1 node1 skip_connect", node3="node1 node2 skip_connect")
    )
    for cell in ("cell1", "cell3"):
        assert not operations(spec, f"{cell}/node1") + operations(spec, f"{cell}/node2")
    assert operations(spec, "cell2/node1") == [FactorisedReduction(8, 8)] * 2
    assert operations(spec, "cell2/node2") == [FactorisedReduction(8, 8)]
    assert operations(spec, "cell2/node3") == []


def test_in_a_reduction_cell_only_edges_from_its_inputs_are_strided() -> None:
    for name in OPERATIONS:
        if name == "skip_connect":
            continue
        spec = SPACE.derive(decided(node1=f"s0 s1 {name}", node2=f"s0 node1 {name}", node3=f"node1 node2 {name}"))
        strides = []
        for node in (1, 2, 3):
            for op in operations(spec, f"cell2/node{node}"):
                assert isinstance(op, CellConvolution | Pool)
                strides.append(op.stride)
        assert strides == [2, 2, 2, 1, 1, 1]


def test_inputs_are_brought_to_the_cells_channels_and_size() -> None:
    nodes = {node.name: node.op for node in SPACE.graph.nodes if hasattr(node, "op")}
    same = nodes["cell2/s0"]
    assert (same.in_channels, same.out_channels, same.kernel, same.preactivate, same.activate) == (
        48,
        8,
        1,
        True,
        False,
    )
    assert nodes["cell3/s0"] == FactorisedReduction(12, 8)
    assert SPACE.graph.shapes["cell1"] == (12, 15, 20)
    assert SPACE.graph.shapes["cell3/s0"] == SPACE.graph.shapes["cell3/s1"] == (8, 8, 10)
    assert SPACE.graph.shapes["cell3"] == (24, 8, 10)


def test_instances_share_decisions_and_no_weights() -> None:
    architecture = SPACE.sample(np.random.default_rng(1))
    net = SPACE.supernet()
    kept = {node.name for node in SPACE.derive(architecture).nodes}
    first = {name.removeprefix("cell1") for name in kept if name.startswith("cell1/node")}
    assert first == {name.removeprefix("cell3") for name in kept if name.startswith("cell3/node")}
    pointers = [parameter.data_ptr() for parameter in net.parameters()]
    assert len(set(pointers)) == len(pointers)


def test_pooling_learns_no_scale_in_the_super_net() -> None:
    pools = [module for name, module in SPACE.supernet().nodes.items() if "_pool_" in name]
    assert len(pools) == 3 * 9 * 2
    assert not [parameter for pool in pools for parameter in pool.parameters()]


def test_with_all_candidates_open_every_weight_learns() -> None:
    torch.manual_seed(0)
    weights = {d.name: torch.full((len(d.candidates),), 0.125, requires_grad=True) for d in SPACE.decisions}
    gates = {name: Gate(tuple(range(len(weight))), weight) for name, weight in weights.items()}
    net = SPACE.supernet()
    torch.stack(net(torch.randn(3, 3, 15, 20), gates)).square().sum().backward()
    silent = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert not silent
    assert all(bool((weight.grad != 0).all()) for weight in weights.values())
