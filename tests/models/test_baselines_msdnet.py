"""MSDNet against the figures of its authors, and against its own definition."""

from dataclasses import replace

import pytest
import torch

from mango_grader.models import build_network
from mango_grader.models.baselines import MSDNetSettings, msdnet_spec

SMALL = MSDNetSettings(exits=(1, 3, 4), channels=4, growth=2, exit_channels=6)


@pytest.mark.parametrize(
    ("exits", "macs", "params"),
    [
        (tuple(range(4, 25, 2)), 133_973_760, 5_470_050),
        ((1, 3, 6, 10, 15, 21, 28), 136_484_608, 3_885_394),
    ],
    ids=["anytime", "budgeted batch"],
)
def test_it_is_the_published_network(exits: tuple[int, ...], macs: int, params: int) -> None:
    """The figures were counted on the authors' PyTorch code (CIFAR-10, pruning "max", reduction 0.5)."""
    spec = msdnet_spec((3, 32, 32), 10, replace(MSDNetSettings.cifar(), exits=exits))
    assert (spec.macs()[-1], spec.params()[-1]) == (macs, params)
    assert len(spec.exits) == len(exits)


def test_the_compact_preset_is_compact() -> None:
    spec = msdnet_spec((3, 128, 128), 10)
    assert spec.params()[-1] <= 350_000
    assert len(spec.exits) == 4
    assert spec.macs()[0] < 0.5 * spec.macs()[-1]


def test_every_stage_ends_in_the_exit_that_the_whole_network_gives() -> None:
    torch.manual_seed(0)
    network = build_network(msdnet_spec((3, 32, 32), 4, SMALL)).eval()
    images = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        whole, state = network(images), (images,)
        for stage, expected in zip(network.stages, whole, strict=True):
            logits, *state = stage(*state)
            torch.testing.assert_close(logits, expected, rtol=0, atol=0)
    assert not state


def test_exits_read_the_coarsest_scale_and_every_scale_halves() -> None:
    spec = msdnet_spec((3, 32, 48), 4, replace(SMALL, drop_scales=False))
    sizes = [spec.shapes[f"layer1_scale{scale}"][1:] for scale in range(3)]
    assert sizes == [(32, 48), (16, 24), (8, 12)]
    heads = {node.name: node.inputs for node in spec.nodes}
    assert heads["exit2/conv1"] == ("layer3_scale2",)


def test_layers_are_dense() -> None:
    """Each layer keeps what came before it and adds `growth`, scaled; half of it from the next finer scale."""
    spec = msdnet_spec((3, 32, 32), 4, replace(SMALL, drop_scales=False))
    channels = [spec.shapes[f"layer{layer}_scale2"][0] for layer in range(1, 5)]
    assert channels == [4 * 4 + layer * 2 * 4 for layer in range(1, 5)]
    node = next(node for node in spec.nodes if node.name == "layer3_scale2")
    assert node.inputs == ("layer2_scale2", "layer3_scale2/down", "layer3_scale2/same")
    assert spec.shapes["layer3_scale2/down"][0] == spec.shapes["layer3_scale2/same"][0] == 4


def test_reduction_drops_fine_scales_and_halves_channels() -> None:
    deep = replace(SMALL, exits=(2, 9))
    full = msdnet_spec((3, 32, 32), 4, replace(deep, drop_scales=False))
    dropped = msdnet_spec((3, 32, 32), 4, replace(deep, reduction=1.0))
    reduced = msdnet_spec((3, 32, 32), 4, deep)
    assert full.macs()[-1] > dropped.macs()[-1] > reduced.macs()[-1]
    assert "layer3_scale0" in dropped.shapes  # blocks of three layers: scale 0 lives in the first alone
    assert "layer4_scale0" not in dropped.shapes
    assert dropped.shapes["layer4_scale2"][0] == 2 * reduced.shapes["transition4_scale2"][0]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_stem_reduces_by_its_stride(stride: int) -> None:
    spec = msdnet_spec((3, 61, 32), 4, replace(SMALL, stem_stride=stride))
    assert spec.shapes["layer1_scale0"][1:] == (-(-61 // stride), 32 // stride)
    with torch.inference_mode():
        logits = build_network(spec).eval()(torch.zeros(1, 3, 61, 32))
    assert [tuple(each.shape) for each in logits] == [(1, 4)] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"exits": ()},
        {"exits": (0, 2)},
        {"exits": (3, 2)},
        {"bottlenecks": (1, 2)},
        {"reduction": 0.0},
        {"stem_stride": 3},
        {"growth": 0},
        {"growth": 3, "factors": (1, 1, 2)},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="MSDNet"):
        replace(SMALL, **wrong)
