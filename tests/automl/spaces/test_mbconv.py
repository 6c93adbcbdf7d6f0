"""BetaNAS's chain of inverted residuals: identity, what joins after the search, the paper's network, other sizes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mango_grader.automl.architecture import Architecture, space_from_dict
from mango_grader.automl.cost import macs, params
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import MbconvConfig, SpaceConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.models import NetworkSpec
from mango_grader.models.operations import Add, InvertedResidual

PAPER = MbconvConfig(224, 224, 1000)
SMALL = MbconvConfig(
    *(24, 32, 3),
    stem_stride=1,
    stem_channels=8,
    first_channels=4,
    channels=(8, 12, 16),
    blocks=(2, 3, 1),
    strides=(2, 1, 2),
    kernels=(3, 5),
    expansions=(2,),
    exits=(1, 3),
    head=16,
)


def chosen(config: SpaceConfig, **choices: str) -> Architecture:
    """Return the architecture that takes its first candidate wherever `choices` do not say otherwise."""
    return Architecture(config, {d.name: (choices.get(d.name, d.candidates[0]),) for d in config.decisions()})


def blocks(spec: NetworkSpec) -> dict[str, InvertedResidual]:
    return {node.name.split("/")[0]: node.op for node in spec.nodes if isinstance(node.op, InvertedResidual)}


def test_only_blocks_that_keep_their_shape_may_be_identity() -> None:
    with_identity = [decision.name for decision in SMALL.decisions() if "identity" in decision.candidates]
    assert with_identity == ["block2", "block4", "block5"], "block1 and block6 halve, block3 widens"
    assert all(replace(SMALL, identity=False).decisions()[i].candidates == ("k3e2", "k5e2") for i in range(6))
    even = replace(SMALL, first_channels=8, channels=(8, 8, 16))
    assert ["identity" in decision.candidates for decision in even.decisions()] == [False, *[True] * 4, False]
    assert SearchSpace(even).graph.shapes["block5"] == (8, 12, 16)


def test_identity_costs_nothing() -> None:
    space = SearchSpace(SMALL)
    assert macs(space).operation("block2", "identity") == params(space).operation("block2", "identity") == 0
    spec = space.derive(chosen(SMALL, block2="identity"))
    assert [(node.name, node.op.kind) for node in spec.nodes if node.name.startswith("block2")] == [("block2", "add")]


def test_identity_is_what_a_block_does_whose_branch_gives_nothing() -> None:
    space = SearchSpace(SMALL)
    torch.manual_seed(0)
    net, image = space.supernet().eval(), torch.randn(2, 3, 24, 32)
    left_out, taken = (
        gates_of(chosen(SMALL, block2=choice, block4=choice, block5=choice), space.decisions)
        for choice in ("identity", "k5e2")
    )
    with torch.no_grad():
        expected = torch.stack(net(image, left_out))
        assert not torch.allclose(torch.stack(net(image, taken)), expected)
        for name in ("block2", "block4", "block5"):
            projection = [m for m in net.nodes[f"{name}/residual/k5e2"].modules() if isinstance(m, nn.BatchNorm2d)][-1]
            projection.weight.zero_()
        assert torch.equal(torch.stack(net(image, taken)), expected)


def test_a_block_that_keeps_its_shape_adds_to_its_input() -> None:
    spec = SearchSpace(SMALL).derive(chosen(SMALL))
    sums = {node.name: node.inputs for node in spec.nodes if node.op == Add(activate=False)}
    assert sums == {
        "block2": ("block1/k3e2", "block2/residual/k3e2"),
        "block4": ("block3/k3e2", "block4/residual/k3e2"),
        "block5": ("block4", "block5/residual/k3e2"),
    }


def test_squeeze_excitation_and_swish_join_after_the_search_only() -> None:
    space = SearchSpace(SMALL)
    architecture = space.sample(np.random.default_rng(0))
    before, after = space.derive(architecture), space.final.derive(architecture)
    assert all((op.squeeze, op.activation) == (0, "relu6") for op in blocks(before).values())
    assert all((op.squeeze, op.activation) == (0.25, "swish") for op in blocks(after).values())
    assert [(node.name, node.inputs) for node in after.nodes] == [(node.name, node.inputs) for node in before.nodes]
    assert space.final.decisions == space.decisions
    assert space.final.final is space.final
    assert after.params()[-1] > before.params()[-1]
    kept = SearchSpace(replace(SMALL, final_squeeze=0.0, final_activation="relu6"))
    assert kept.final is kept


def test_the_papers_network_and_what_squeeze_excitation_adds() -> None:
    space = SearchSpace(PAPER)
    candidates = [set(decision.candidates) for decision in space.decisions]
    assert len(candidates) == 21
    assert sum(len(each) == 7 for each in candidates) == 15, (
        "identity and six inverted residuals but where shapes change"
    )
    rng = np.random.default_rng(0)
    samples = [space.sample(rng) for _ in range(20)]
    sizes = np.array([(spec.macs()[-1], spec.params()[-1]) for spec in map(space.derive, samples)]) / 1e6
    assert sizes[:, 0].min() < 315 < sizes[:, 0].max(), "BetaNet-A, Table 1"
    assert sizes[:, 1].min() < 3.6 < sizes[:, 1].max()
    final = np.array([space.final.derive(sample).params()[-1] for sample in samples]) / 1e6
    assert 0.3 < np.mean(final - sizes[:, 1]) < 0.7, "3.6 M without, 4.1 M with it"
    wide = SearchSpace(replace(PAPER, multiplier=1.4))
    ratios = [wide.derive(sample).macs()[-1] / space.derive(sample).macs()[-1] for sample in samples]
    assert np.mean(ratios) == pytest.approx(596 / 315, rel=0.05)


@pytest.mark.parametrize("multiplier", [0.75, 1.0, 1.4])
@pytest.mark.parametrize("size", [(24, 32), (25, 33), (128, 128)])
def test_inputs_of_all_sizes_and_widths_fit(size: tuple[int, int], multiplier: float) -> None:
    space = SearchSpace(replace(SMALL, height=size[0], width=size[1], multiplier=multiplier))
    spec = space.derive(space.sample(np.random.default_rng(0)))
    exit_inputs = [spec.shapes[node.inputs[0]] for node in spec.nodes if node.name in spec.exits]
    assert [shape[1:] for shape in exit_inputs] == [tuple(-(-side // by) for side in size) for by in (2, 4)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"blocks": (2, 3)}, "stages differ in number"),
        ({"channels": (), "blocks": (), "strides": ()}, "stages differ in number"),
        ({"blocks": (2, 0, 1)}, "blocks must be in 1"),
        ({"strides": (2, 3, 1)}, "strides must be in 1..2"),
        ({"stem_stride": 4}, "stem_stride must be in 1..2"),
        ({"exits": (1, 2)}, "end at the last stage, 3"),
        ({"exits": (2, 1, 3)}, "must rise"),
        ({"exits": ()}, "must rise"),
        ({"kernels": (3, 4)}, "odd"),
        ({"kernels": (3, 3)}, "differ"),
        ({"kernels": ()}, "need kernels"),
        ({"expansions": (3, 3)}, "expansions that differ"),
        ({"expansions": (0,)}, "expansions"),
        ({"head": -1}, "head must be in 0"),
        ({"dropout": 1.0}, "dropout"),
        ({"final_squeeze": 1.5}, "final_squeeze must be in 0..1"),
        ({"final_activation": "gelu"}, "relu6 or swish"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        space_from_dict({**SMALL.to_dict(), **settings})
    assert "\n" not in str(refusal.value)
