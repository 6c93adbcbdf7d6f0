"""The NASNet-like stack of cells: sizes, widths, connections and exits."""

from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl.graph import Choice
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import NasnetConfig
from mango_grader.models.operations import FactorisedReduction

PAPER = NasnetConfig(32, 32, 10)


def test_the_defaults_are_darts_search_network() -> None:
    assert (PAPER.depth, PAPER.channels, PAPER.nodes, PAPER.stem_channels) == (8, 16, 4, 48)
    assert PAPER.reduce_at == (3, 6), "a third and two thirds of the depth"
    options = [decision.options for decision in PAPER.decisions()]
    assert len(options) == 8
    assert 1e9 < np.prod(options[:4], dtype=object) < 1.1e9, "about 10^9 cells of each kind (DARTS, appendix A.1)"


def test_channels_double_and_sizes_halve_at_reductions() -> None:
    shapes = PAPER.graph().shapes
    made = [shapes[f"cell{number}"] for number in range(1, 9)]
    assert shapes["stem"] == (48, 32, 32)
    assert made == [(64, 32, 32)] * 2 + [(128, 16, 16)] * 3 + [(256, 8, 8)] * 3


def test_a_cell_reads_the_two_before_it() -> None:
    nodes = {node.name: node for node in PAPER.graph().nodes if not isinstance(node, Choice)}
    assert nodes["cell1/s0"].inputs == nodes["cell1/s1"].inputs == ("stem",)
    assert (nodes["cell2/s0"].inputs, nodes["cell2/s1"].inputs) == (("stem",), ("cell1",))
    assert (nodes["cell4/s0"].inputs, nodes["cell4/s1"].inputs) == (("cell2",), ("cell3",))
    halved = [name for name, node in nodes.items() if isinstance(node.op, FactorisedReduction)]
    assert halved == ["cell4/s0", "cell7/s0"], "behind each reduction cell"


def test_exits_sit_where_they_are_asked_for() -> None:
    space = SearchSpace(replace(PAPER, nodes=1, exits=(2, 7, 8)))
    spec = space.derive(space.sample(np.random.default_rng(0)))
    assert [node.inputs for node in spec.nodes if node.name in spec.exits] == [("cell2",), ("cell7",), ("cell8",)]


def test_without_reductions_there_is_one_kind_of_cell() -> None:
    assert {d.name.split(".")[0] for d in replace(PAPER, reduce_at=()).decisions()} == {"normal"}


@pytest.mark.parametrize("size", [(24, 32), (25, 33), (224, 224)])
@pytest.mark.parametrize("stem_stride", [1, 4])
def test_inputs_of_all_sizes_fit(size: tuple[int, int], stem_stride: int) -> None:
    space = SearchSpace(replace(PAPER, height=size[0], width=size[1], nodes=1, stem_stride=stem_stride))
    last = space.derive(space.sample(np.random.default_rng(0))).shapes["cell8"]
    assert last[1:] == tuple(-(-side // (4 * stem_stride)) for side in size)


def test_reductions_may_follow_each_other() -> None:
    shapes = replace(PAPER, nodes=1, reduce_at=(1, 2, 3)).graph().shapes
    assert shapes["cell4"][1:] == (4, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exits": (0, 8)}, "exits must be in 1"),
        ({"depth": 7}, "end at the last block, 7"),
        ({"reduce_at": (9,)}, "reduce_at must name layers from 1 to 8"),
        ({"stem_stride": 0}, "stem_stride must be in 1"),
        ({"stem_stride": 3}, "power of two"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PAPER, **settings)
