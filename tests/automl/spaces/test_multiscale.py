"""MS-RANAS's grid of layers and scales: sizes, widths, connections and exits."""

from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl.graph import SearchGraph
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import MultiscaleConfig
from mango_grader.models.operations import Concat, Convolution, FactorisedReduction
from mango_grader.models.spec import Node


def plain(graph: SearchGraph) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node, Node)]


PAPER = MultiscaleConfig(32, 32, 10)
GRAPH = PAPER.graph()
INPUTS = {node.name: node.inputs for node in plain(GRAPH)}
OPERATIONS = {node.name: node.op for node in plain(GRAPH)}


def test_the_defaults_are_the_papers() -> None:
    assert (PAPER.depth, PAPER.scales, PAPER.channels, PAPER.nodes, PAPER.reduce_at) == (5, 3, 16, 4, (3,))
    assert [decision.name for decision in PAPER.decisions()] == [
        f"{kind}.node{node}" for kind in ("normal", "reduction") for node in range(1, 5)
    ]
    assert GRAPH.exits == ("exit2", "exit3", "exit4", "exit5"), "all layers but the first (§3.3)"


@pytest.mark.parametrize("nodes", [2, 4])
def test_cells_widths_double_and_sizes_halve_at_the_reduction_layer(nodes: int) -> None:
    shapes = replace(PAPER, nodes=nodes).graph().shapes
    assert shapes["stem"] == (16, 32, 32)
    assert shapes["layer1-scale3/vertical"] == (16, 8, 8)
    assert [shapes[f"layer2-scale{scale}"] for scale in (1, 2, 3)] == [(16 * nodes, side, side) for side in (32, 16, 8)]
    assert [shapes[f"layer3-scale{scale}"] for scale in (1, 2, 3)] == [(32 * nodes, side, side) for side in (16, 8, 4)]
    assert shapes["layer5-scale3"] == (32 * nodes, 4, 4)


def test_every_scale_comes_from_the_one_above_it_in_layer_1() -> None:
    assert INPUTS["layer1-scale2/vertical"] == ("stem",)
    assert INPUTS["layer1-scale3/vertical"] == ("layer1-scale2/vertical",)


def test_coarse_cells_read_diagonal_and_horizontal_and_the_finest_horizontal_only() -> None:
    assert INPUTS["layer3-scale1/s1"] == ("layer3-scale1/horizontal",)
    assert INPUTS["layer3-scale1/horizontal"] == ("layer2-scale1",)
    assert "layer3-scale1/diagonal" not in INPUTS
    assert INPUTS["layer4-scale3/s1"] == ("layer4-scale3/concat",)
    assert INPUTS["layer4-scale3/concat"] == ("layer4-scale3/diagonal", "layer4-scale3/horizontal")
    assert INPUTS["layer4-scale3/diagonal"] == ("layer3-scale2",)
    assert INPUTS["layer4-scale3/horizontal"] == ("layer3-scale3",)
    diagonal, horizontal = OPERATIONS["layer4-scale3/diagonal"], OPERATIONS["layer4-scale3/horizontal"]
    assert isinstance(diagonal, Convolution)
    assert isinstance(horizontal, Convolution)
    assert (diagonal.stride, horizontal.stride) == (2, 1)


def test_s0_is_the_same_scale_two_layers_before() -> None:
    assert INPUTS["layer2-scale3/s0"] == ("layer1-scale3/vertical",)
    assert INPUTS["layer4-scale2/s0"] == ("layer2-scale2",)
    assert isinstance(OPERATIONS["layer4-scale2/s0"], FactorisedReduction), "layer 3 has halved s1"
    assert INPUTS["layer5-scale3/s0"] == ("layer3-scale3",)
    assert isinstance(OPERATIONS["layer5-scale3/s0"], Convolution)


@pytest.mark.parametrize("scales", [1, 2, 3])
@pytest.mark.parametrize("depth", [2, 4])
def test_exits_read_the_coarsest_scale_and_every_node_is_needed(scales: int, depth: int) -> None:
    space = SearchSpace(
        MultiscaleConfig(
            *(16, 16, 3), depth=depth, scales=scales, nodes=1, reduce_at=(2,), exits=tuple(range(2, depth + 1))
        )
    )
    spec = space.derive(space.sample(np.random.default_rng(0)))
    heads = [node.inputs for node in spec.nodes if node.name in spec.exits]
    assert heads == [(f"layer{layer}-scale{scales}",) for layer in range(2, depth + 1)]
    # Deriving drops what no exit depends on, so all cells that were written must be left.
    cells = [{node.name for node in nodes if isinstance(node.op, Concat)} for nodes in (plain(space.graph), spec.nodes)]
    assert cells[0] == cells[1]
    assert len([name for name in cells[0] if "/" not in name]) == sum(min(scales, 1 + n) for n in range(depth - 1))


@pytest.mark.parametrize("size", [(24, 32), (25, 33), (224, 224)])
@pytest.mark.parametrize("stem_stride", [1, 4])
def test_inputs_of_all_sizes_fit(size: tuple[int, int], stem_stride: int) -> None:
    config = replace(PAPER, height=size[0], width=size[1], nodes=1, stem_stride=stem_stride)
    space = SearchSpace(config)
    last = space.derive(space.sample(np.random.default_rng(0))).shapes["layer5-scale3"]
    assert last[1:] == tuple(-(-side // (8 * stem_stride)) for side in size)


@pytest.mark.parametrize("nodes", [1, 2])
def test_the_multiplier_narrows_everything(nodes: int) -> None:
    assert MultiscaleConfig(32, 32, 3, multiplier=0.5, nodes=nodes).graph().shapes["layer5-scale3"][0] == 16 * nodes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scales": 4}, "scales must be in 1..3"),
        ({"exits": (1, 5)}, "first exit"),
        ({"exits": (2, 4)}, "exits must rise"),
        ({"reduce_at": (1,)}, "reduce_at must name layers from 2 to 5"),
        ({"depth": 1, "exits": (1,), "reduce_at": ()}, "depth must be at least 2"),
        ({"nodes": 0}, "nodes must be in 1"),
        ({"stem_stride": 3}, "power of two"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PAPER, **settings)
