"""Pruned graphs: what is left of them, and that it computes what the paper says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom, chisquare
from torch import nn

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import DagConfig
from mango_grader.automl.supernet import Gate
from mango_grader.models import NetworkSpec, build_network

SMALL = DagConfig(8, 12, 3, channels=8, stages=(1, 1), levels=2, operations=("sep3", "max3"), exits=(1, 2))
IMAGES = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def keep(config: DagConfig, kept: dict[str, tuple[str, ...]]) -> NetworkSpec:
    """Return the network that keeps these connections and no other."""
    choices = {decision.name: kept.get(decision.name, ()) for decision in config.decisions()}
    architecture = Architecture.from_dict(Architecture(config, choices).to_dict())
    return SearchSpace(config).derive(architecture)


def parts(spec: NetworkSpec, block: str) -> set[str]:
    return {node.name.removeprefix(block + "/") for node in spec.nodes if node.name.startswith(block + "/")}


def test_a_block_adds_a_convolution_of_the_concatenated_scaled_operations() -> None:
    torch.manual_seed(0)
    config = replace(SMALL, stages=(1,), exits=(1,))
    space = SearchSpace(config)
    net = space.supernet().eval()
    scales = {d.name: torch.rand(len(d.candidates)) for d in space.decisions}
    seen: dict[str, torch.Tensor] = {}
    for name in ("stem", "block1"):
        net.nodes[name].register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
    net(IMAGES, {d.name: Gate(tuple(range(len(d.candidates))), scales[d.name]) for d in space.decisions})

    def module(name: str) -> nn.Module:
        return net.nodes[f"block1/{name}"]

    made = [seen["stem"]]
    for level in (1, 2):
        made += [
            module(name)(sum(scale * value for scale, value in zip(scales[f"{name}.in"], made, strict=True)))
            for name in (f"level{level}-sep3", f"level{level}-max3")
        ]
    names = next(d.candidates for d in space.decisions if d.name == "out")
    wide = torch.cat([module(f"out/{name}").get_parameter("0.weight") for name in names], 1)
    scaled = torch.cat([scale * value for scale, value in zip(scales["out"], made[1:], strict=True)], 1)
    normal = nn.functional.conv2d(scaled, wide) / (1 + 1e-5) ** 0.5  # what a fresh BatchNorm does in evaluation
    expected = seen["stem"] + torch.relu(normal)
    torch.testing.assert_close(seen["block1"], expected)


def test_a_block_without_anything_left_is_the_identity() -> None:
    spec = keep(SMALL, {})
    assert parts(spec, "block1") == parts(spec, "block2") == set()
    net = build_network(spec).eval()
    seen: list[torch.Tensor] = []
    for name in ("stem", "block1"):
        net.nodes[name].register_forward_hook(lambda _, __, output: seen.append(output))
    net(IMAGES)
    assert torch.equal(*seen)


@pytest.mark.parametrize(
    "kept",
    [
        {"out": ("level1-sep3", "level2-max3")},  # operations without a source
        {"level1-sep3.in": ("input",), "level2-max3.in": ("input", "level1-sep3")},  # operations that nobody reads
        {"level2-sep3.in": ("level1-max3",), "out": ("level2-sep3",)},  # one whose only source has none
    ],
)
def test_dead_operations_disappear(kept: dict[str, tuple[str, ...]]) -> None:
    assert keep(SMALL, kept) == keep(SMALL, {})


def test_what_is_left_is_what_lies_between_input_and_output() -> None:
    kept = {
        "level1-sep3.in": ("input",),
        "level1-max3.in": ("input",),
        "level2-sep3.in": ("level1-sep3",),
        "level2-max3.in": ("input", "level1-max3"),
        "out": ("level2-sep3",),
    }
    spec = keep(SMALL, kept)
    chain = {"level1-sep3", "level2-sep3", "out/level2-sep3", "norm"}
    assert parts(spec, "block1") == parts(spec, "block2") == chain
    with_input = keep(SMALL, {**kept, "level2-sep3.in": ("input", "level1-sep3")})
    assert parts(with_input, "block1") == chain | {"level2-sep3/in"}
    assert with_input.params() == spec.params()


def test_full_blocks_decide_for_themselves_and_shared_ones_together() -> None:
    full = replace(SMALL, share=False)
    names = [decision.name for decision in SMALL.decisions()]
    assert [d.name for d in full.decisions()] == [f"block{n}.{name}" for n in (1, 2) for name in names]
    chosen = SearchSpace(SMALL).sample(np.random.default_rng(1)).choices
    both = {f"block{number}.{name}": value for number in (1, 2) for name, value in chosen.items()}
    assert keep(full, both) == keep(SMALL, dict(chosen))
    alone = keep(full, {"block2.level1-sep3.in": ("input",), "block2.out": ("level1-sep3",)})
    assert not parts(alone, "block1")
    assert parts(alone, "block2") == {"level1-sep3", "out/level1-sep3", "norm"}


def test_the_published_network() -> None:
    space = SearchSpace(DagConfig(32, 32, 10))
    whole = space.derive(space.nearest({d.name: np.ones(len(d.candidates)) for d in space.decisions}))
    sizes = [whole.shapes[f"block{number}"] for number in (1, 8, 9, 16, 17, 24)]
    assert sizes == [(36, 32, 32)] * 2 + [(72, 16, 16)] * 2 + [(144, 8, 8)] * 2
    inputs = [len(d.candidates) for d in space.decisions]
    assert inputs == [1] * 4 + [5] * 4 + [9] * 4 + [13] * 4 + [16]
    # Pruning must be able to leave the 3.0 M parameters of Table 1.
    assert 3.0e6 < whole.params()[-1] < 6.5e6


@pytest.mark.parametrize(("height", "width", "stride"), [(24, 32, 1), (120, 160, 2), (224, 224, 4), (27, 45, 4)])
def test_images_of_many_sizes_fit(height: int, width: int, stride: int) -> None:
    space = SearchSpace(replace(SMALL, height=height, width=width, stem_stride=stride))
    spec = space.derive(space.nearest({d.name: np.ones(len(d.candidates)) for d in space.decisions}))
    assert spec.shapes["block1"] == (8, -(-height // stride), -(-width // stride))
    assert spec.shapes["block2"] == (16, -(-height // stride // 2), -(-width // stride // 2))
    build_network(spec).eval()(torch.zeros(1, 3, height, width))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exits": (1,)}, "end at the last block, 2"),
        ({"exits": (2, 1, 2)}, "exits must rise"),
        ({"exits": (0, 2)}, "exits must be in 1"),
        ({"operations": ("sep7",)}, "operations must be among"),
        ({"levels": 0}, "levels must be in 1"),
        ({"stages": (2, 0)}, "stages must be in 1"),
        ({"operations": ("sep3", "sep3")}, "operations must be among"),
    ],
)
def test_settings_that_make_no_network_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_a_stem_halves_or_keeps_sizes() -> None:
    with pytest.raises(ValueError, match="power of two, not 3"):
        replace(SMALL, stem_stride=3)


def test_architectures_of_earlier_versions_are_read() -> None:
    found = SearchSpace(SMALL).sample(np.random.default_rng(0))
    kept = found.to_dict()
    del kept["space"]["edge_probability"]
    assert Architecture.from_dict(kept) == found


def test_edges_are_independent_of_each_other() -> None:
    """Few edges follow from a low probability alone: a subset of k of n is as likely as n independent draws make it."""
    rng, wanted = np.random.default_rng(0), 0.25
    decision = max(SearchSpace(replace(SMALL, edge_probability=wanted)).decisions, key=lambda d: len(d.candidates))
    sizes = [len(decision.draw(rng)) for _ in range(2000)]
    count = len(decision.candidates)
    expected = binom.pmf(np.arange(count + 1), count, wanted)
    assert chisquare(np.bincount(sizes, minlength=count + 1), 2000 * expected).pvalue > 1e-4
