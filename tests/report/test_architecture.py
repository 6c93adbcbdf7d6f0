import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from contracts.cases import SPACES as TINY
from exporting import three_exits

from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SPACES, LayerwiseConfig, SpaceConfig
from mango_grader.models import NetworkSpec, Node
from mango_grader.models.baselines import BASELINES
from mango_grader.models.operations import Add, Classifier, Convolution, Identity, Match, Normalise, Pool
from mango_grader.models.spec import IMAGE
from mango_grader.report import ReportData, draw_architecture
from mango_grader.report.layout import lay_out


def sampled(config: SpaceConfig, seed: int) -> NetworkSpec:
    space = SearchSpace(config)
    return space.derive(space.sample(np.random.default_rng(seed)))


SPECS = {
    "three exits": three_exits(),
    **{
        f"layerwise {seed}": sampled(LayerwiseConfig(48, 64, 3, channels=16, reduce_at=(3, 6, 9)), seed)
        for seed in range(3)
    },
    **{
        f"{kind}, published {seed}": sampled(space(64, 64, 3), seed)
        for kind, space in SPACES.items()
        for seed in (0, 1)
    },
    **{f"{name}, tiny": sampled(config, 2) for name, config in TINY.items()},
    "msdnet": BASELINES["msdnet"]((3, 64, 64), 3),
    "shufflenet": BASELINES["shufflenet_v2_x0_5"]((3, 64, 64), 3),
}


@pytest.mark.parametrize("name", SPECS)
def test_any_network_is_laid_out_forwards_and_without_collisions(name: str) -> None:
    spec = SPECS[name]
    layout = lay_out(spec)
    places = [(block.column, block.row) for block in layout.blocks.values()]
    assert len(set(places)) == len(places)
    for block in layout.blocks.values():
        for source, _ in block.links:
            assert (0 if source == IMAGE else layout.blocks[source].column) < block.column
    assert [each.macs for each in layout.exits] == list(spec.macs())
    assert {each.block for each in layout.exits} <= set(layout.blocks)
    for each in layout.exits:
        above = layout.blocks[each.block]
        assert not [row for column, row in places if column == above.column and row > above.row]


def overlap(one: ElementTree.Element, other: ElementTree.Element) -> bool:
    ends = [
        (float(each.get(start) or 0), float(each.get(start) or 0) + float(each.get(length) or 0))
        for start, length in (("x", "width"), ("y", "height"))
        for each in (one, other)
    ]
    (left, right), (other_left, other_right), (top, bottom), (other_top, other_bottom) = ends
    return left < other_right and other_left < right and top < other_bottom and other_top < bottom


@pytest.mark.parametrize("name", SPECS)
def test_any_network_is_drawn_whole(name: str, data: ReportData) -> None:
    spec = SPECS[name]
    drawn = draw_architecture(spec, data.exits)
    root = ElementTree.fromstring(drawn)
    layout = lay_out(spec)
    groups = [group for group in root.iter("g") if group.get("class") == "block"]
    links = [path for path in root.iter("path") if (path.get("class") or "").startswith("link") and len(path)]
    assert len(groups) == len(layout.blocks)
    assert len(links) == sum(len(block.links) for block in layout.blocks.values())
    width, height = map(float, (root.get("viewBox") or "").split()[2:])
    boxes = [rectangle for rectangle in root.iter("rect") if rectangle.get("class") in ("box", "image", "exit")]
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    for each in root.iter("rect"):
        assert 0 <= float(each.get("x") or 0) <= width - float(each.get("width") or 0)
        assert 0 <= float(each.get("y") or 0) <= height - float(each.get("height") or 0)
    for number in range(1, len(spec.exits) + 1):
        assert f">exit {number}<" in drawn


def test_a_layer_with_a_skip_is_one_box() -> None:
    nodes = (
        Node("stem", Convolution(3, 8, 3), (IMAGE,)),
        Node("a/convolution", Convolution(8, 8, 5), ("stem",)),
        Node("a/skip", Identity(), ("stem",)),
        Node("a", Add(), ("a/convolution", "a/skip")),
        Node("b/convolution", Convolution(8, 16, 7, 2), ("a",)),
        Node("b/skip", Match(8, 16, 2), ("stem",)),
        Node("b", Add(), ("b/convolution", "b/skip")),
        Node("exit", Classifier(16, 3), ("b",)),
    )
    layout = lay_out(NetworkSpec((3, 16, 16), nodes, ("exit",)))
    assert list(layout.blocks) == ["stem", "a", "b"]
    assert [(block.column, block.row) for block in layout.blocks.values()] == [(1, 0), (2, 0), (3, 0)]
    assert [(source, type(op)) for source, op in layout.blocks["b"].links] == [("a", type(None)), ("stem", Match)]
    assert layout.exits[0].block == "b"


def test_a_block_of_many_nodes_is_one_box_that_says_what_is_in_it() -> None:
    nodes = (
        Node("stem", Convolution(3, 8, 3), (IMAGE,)),
        *(Node(f"cell/{place}", Convolution(8, 8, 5), ("stem",)) for place in "ab"),
        *(Node(f"cell/pool{kernel}", Pool(True, kernel), ("stem",)) for kernel in (3, 5)),
        Node("cell/small", Convolution(8, 8, 1), ("stem",)),
        Node("cell", Add(), ("cell/a", "cell/b", "cell/pool3", "cell/pool5", "cell/small")),
        Node("pruned", Add(), ("cell",)),
        Node("exit/norm", Normalise(8), ("pruned",)),
        Node("exit", Classifier(8, 3), ("exit/norm",)),
    )
    spec = NetworkSpec((3, 16, 16), nodes, ("exit",))
    layout = lay_out(spec)
    assert {name: dict(block.parts) for name, block in layout.blocks.items()} == {
        "stem": {"conv 3×3": 1},
        "cell": {"conv 5×5": 2, "conv 1×1": 1, "max 3×3": 1, "max 5×5": 1},
        "pruned": {},
    }
    assert layout.blocks["cell"].links == (("stem", None),)
    assert layout.exits[0].block == "pruned"
    drawn = draw_architecture(spec)
    assert "cell: 2 conv 5×5, 1 conv 1×1, 1 max 3×3, 1 max 5×5; " in drawn
    written = [text for text, _ in re.findall(r">([^<>]+)<(/text)", drawn)]
    assert [line for line in written if line in ("2 conv 5×5", "1 conv 1×1", "1 max 3×3", "+ 2 more", "identity")] == [
        "2 conv 5×5", "1 conv 1×1", "+ 2 more", "identity",
    ]  # fmt: skip


@pytest.mark.parametrize("first", ["exit", "coarse"])
def test_nothing_lies_between_a_fine_block_and_its_exit(first: str) -> None:
    ways = {
        "exit": (Node("fine", Convolution(8, 8, 3, 2), ("stem",)), Node("exit1", Classifier(8, 3), ("fine",))),
        "coarse": (Node("coarse", Convolution(8, 8, 3, 4), ("stem",)), Node("exit2", Classifier(8, 3), ("coarse",))),
    }
    nodes = [Node("stem", Convolution(3, 8, 3), (IMAGE,)), *ways.pop(first), *ways.popitem()[1]]
    layout = lay_out(NetworkSpec((3, 16, 16), tuple(nodes), ("exit1", "exit2")))
    assert {block.row for block in layout.blocks.values()} == {0, 1, 2}
    assert layout.blocks["fine"].column != layout.blocks["coarse"].column


def test_a_block_whose_nodes_lie_apart_becomes_two_boxes() -> None:
    nodes = (
        Node("a/first", Convolution(3, 8, 3), (IMAGE,)),
        Node("b", Convolution(8, 8, 3), ("a/first",)),
        Node("a", Convolution(8, 8, 3), ("b",)),
        Node("exit", Classifier(8, 3), ("a",)),
    )
    layout = lay_out(NetworkSpec((3, 16, 16), nodes, ("exit",)))
    assert [block.column for block in layout.blocks.values()] == [1, 2, 3]
    assert len(draw_architecture(NetworkSpec((3, 16, 16), nodes, ("exit",))).split('class="block"')) == 4


def test_kernels_accuracies_and_costs_are_written(data: ReportData) -> None:
    spec = three_exits()
    drawn = draw_architecture(spec, data.exits)
    assert "5×5" in drawn
    assert "dil 2" in drawn
    assert "skip with 1×1 convolution" in drawn
    for each in data.exits:
        assert f"{100 * each.accuracy.value:.1f} %" in drawn
    assert "%" not in re.sub(r"\d+%, var", "", draw_architecture(spec))
