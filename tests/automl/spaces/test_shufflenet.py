"""SPOS's chain of shuffle units: its candidates, the published network, other sizes and widths."""

from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl.architecture import Architecture, space_from_dict
from mango_grader.automl.cost import macs
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import ShufflenetConfig
from mango_grader.models.operations import Classifier, ShuffleUnit

PAPER = ShufflenetConfig(224, 224, 1000)
SMALL = ShufflenetConfig(
    24, 32, 3, stem_stride=1, stem_channels=8, channels=(12, 16, 24), blocks=(1, 2, 1), exits=(1, 2, 3), head=16
)


def test_each_block_chooses_a_kernel_or_xception() -> None:
    assert {decision.candidates for decision in SMALL.decisions()} == {("k3", "k5", "k7", "xception")}
    assert replace(SMALL, kernels=(5,)).decisions()[0].candidates == ("k5", "xception")
    assert replace(SMALL, xception=False).decisions()[0].candidates == ("k3", "k5", "k7")
    space = SearchSpace(SMALL)
    costs = {name: macs(space).operation("block3", name) for name in ("k3", "k5", "k7", "xception")}
    assert costs["k3"] < costs["k5"] < costs["k7"]
    assert costs["xception"] > costs["k3"]


def test_the_first_block_of_a_stage_halves_and_only_it() -> None:
    spec = SearchSpace(SMALL).derive(Architecture(SMALL, {d.name: ("k3",) for d in SMALL.decisions()}))
    units = [node.op for node in spec.nodes if isinstance(node.op, ShuffleUnit)]
    assert [(op.in_channels, op.out_channels, op.stride) for op in units] == [
        (8, 12, 2),
        (12, 16, 2),
        (16, 16, 1),
        (16, 24, 2),
    ]
    heads = [node.op for node in spec.nodes if isinstance(node.op, Classifier)]
    assert [(head.in_channels, head.hidden) for head in heads] == [(12, 0), (16, 0), (24, 16)]


def test_the_published_network() -> None:
    space = SearchSpace(PAPER)
    assert [len(decision.candidates) for decision in space.decisions] == [4] * 20
    widths = [space.graph.shapes[f"block{number}"] for number in (4, 8, 16, 20)]
    assert widths == [(64, 56, 56), (160, 28, 28), (320, 14, 14), (640, 7, 7)]
    rng = np.random.default_rng(0)
    specs = [space.derive(space.sample(rng)) for _ in range(20)]
    million = [spec.macs()[-1] / 1e6 for spec in specs]
    assert min(million) < 319 < 328 < max(million), "SPOS's networks have 319 to 328 M"
    assert 3.0 < np.mean([spec.params()[-1] for spec in specs]) / 1e6 < 4.5


@pytest.mark.parametrize("multiplier", [0.1, 0.55, 1.0, 1.4])
@pytest.mark.parametrize("size", [(24, 32), (25, 33), (128, 128)])
def test_inputs_of_all_sizes_and_widths_fit(size: tuple[int, int], multiplier: float) -> None:
    space = SearchSpace(replace(SMALL, height=size[0], width=size[1], multiplier=multiplier))
    spec = space.derive(space.sample(np.random.default_rng(0)))
    shapes = [spec.shapes[node.inputs[0]] for node in spec.nodes if node.name in spec.exits]
    assert [shape[1:] for shape in shapes] == [tuple(-(-side // by) for side in size) for by in (2, 4, 8)]
    assert all(shape[0] % 2 == 0 for shape in shapes)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channels": (12, 16)}, "stages differ in number"),
        ({"channels": (), "blocks": ()}, "stages differ in number"),
        ({"channels": (12, 16, 0)}, "channels must be in 1"),
        ({"stem_stride": 3}, "stem_stride must be in 1..2"),
        ({"exits": (0, 3)}, "exits must be in 1"),
        ({"exits": (1, 2)}, "end at the last stage, 3"),
        ({"kernels": (2,)}, "odd"),
        ({"kernels": (), "xception": False}, "need kernels or xception"),
        ({"early_head": -4}, "early_head must be in 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        space_from_dict({**SMALL.to_dict(), **settings})
    assert "\n" not in str(refusal.value)
