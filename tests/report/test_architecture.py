import re
from xml.etree import ElementTree

import numpy as np
import pytest
from exporting import three_exits

from mango_grader.automl.spaces import LayerwiseConfig, SearchSpace
from mango_grader.models import NetworkSpec, Node
from mango_grader.models.baselines import BASELINES
from mango_grader.models.operations import Add, Classifier, Convolution, Identity, Match
from mango_grader.models.spec import IMAGE
from mango_grader.report import ReportData, draw_architecture
from mango_grader.report.layout import lay_out


def layerwise(seed: int) -> NetworkSpec:
    space = SearchSpace(LayerwiseConfig(48, 64, 3, channels=16, reduce_at=(3, 6, 9)))
    return space.resolve(space.sample(np.random.default_rng(seed)))


SPECS = {
    "three exits": three_exits(),
    **{f"layerwise {seed}": layerwise(seed) for seed in range(4)},
    "msdnet": BASELINES["msdnet"]((3, 64, 64), 3),
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


def test_kernels_accuracies_and_costs_are_written(data: ReportData) -> None:
    spec = three_exits()
    drawn = draw_architecture(spec, data.exits)
    assert "5×5" in drawn
    assert "dil 2" in drawn
    assert "skip with 1×1 convolution" in drawn
    for each in data.exits:
        assert f"{100 * each.accuracy.value:.1f} %" in drawn
    assert "%" not in re.sub(r"\d+%, var", "", draw_architecture(spec))
