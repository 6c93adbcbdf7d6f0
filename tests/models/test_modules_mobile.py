"""Blocks of mobile networks: what they compute, and that their prices are torch's own."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mango_grader.models.modules import build_operation
from mango_grader.models.operations import InvertedResidual, Operation, ShuffleUnit

HEIGHT, WIDTH = 13, 9  # odd, so that halving rounds


@pytest.mark.parametrize(
    "op",
    [
        InvertedResidual(8, 12, 5, 2, 3),
        InvertedResidual(8, 8, 3, expansion=1),
        InvertedResidual(8, 12, 7, 1, 6, 0.25, "swish"),
        InvertedResidual(8, 8, expansion=1, squeeze=0.5),
        ShuffleUnit(8, 8, 7),
        ShuffleUnit(8, 20, 5, 2),
        ShuffleUnit(8, 8, xception=True),
        ShuffleUnit(8, 6, 3, 2, xception=True),
    ],
)
def test_shape_and_prices_are_torchs(op: InvertedResidual | ShuffleUnit) -> None:
    module = build_operation(op).eval()
    shape = (op.in_channels, HEIGHT, WIDTH)
    with FlopCounterMode(display=False) as counter:
        output = module(torch.randn(1, *shape))
    assert tuple(output.shape[1:]) == op.output([shape])
    assert op.macs([shape]) == counter.get_total_flops() / 2
    assert op.params() == sum(parameter.numel() for parameter in module.parameters())
    assert Operation.from_dict(op.to_dict()) == op


def test_a_squeeze_leaves_at_least_one_channel() -> None:
    assert [InvertedResidual(8, 8, squeeze=share).squeezed for share in (0.0, 0.01, 0.25, 1.0)] == [0, 1, 2, 8]


def random(op: Operation) -> nn.Module:
    """Return the operation's module with every parameter and statistic drawn at random."""
    module = build_operation(op).eval()
    for value in (*module.parameters(), *(buffer for buffer in module.buffers() if buffer.is_floating_point())):
        torch.manual_seed(value.numel())  # equal parts of two operations are equal
        nn.init.uniform_(value, 0.5, 1.0)
    return module


def images(channels: int) -> torch.Tensor:
    return torch.randn(2, channels, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


def test_an_inverted_residual_ends_linearly_and_without_its_sum() -> None:
    module = random(InvertedResidual(4, 4, expansion=2))
    projection = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)][-1]
    with torch.no_grad():
        projection.weight.fill_(-1)
        assert (module(images(4)) < 0).any(), "no activation behind the projection"
        projection.weight.fill_(0)
        assert torch.equal(module(images(4)), module(images(4) + 1)), "no way around it"


@pytest.mark.parametrize(("activation", "layer"), [("relu6", nn.ReLU6), ("swish", nn.SiLU)])
def test_activations_follow_expansion_and_depthwise_convolution(activation: str, layer: type[nn.Module]) -> None:
    module = build_operation(InvertedResidual(4, 4, squeeze=0.25, activation=activation))  # type: ignore[arg-type]
    kinds = [type(part) for part in module.modules()]
    assert kinds.count(layer) == 3
    assert not {nn.ReLU, nn.ReLU6, nn.SiLU} & set(kinds) - {layer}
    assert kinds.index(layer) > kinds.index(nn.BatchNorm2d)


def test_squeeze_excitation_weighs_channels_by_the_whole_image() -> None:
    plain, squeezed = random(InvertedResidual(4, 4, expansion=1)), random(InvertedResidual(4, 4, 3, 1, 1, 0.5))
    excitation = next(module for name, module in squeezed.named_modules() if name.endswith("excite"))
    features = images(4)
    with torch.no_grad():
        nn.init.zeros_(excitation.weight)
        nn.init.constant_(excitation.bias, 100.0)  # a sigmoid of one: weighing changes nothing
        torch.testing.assert_close(squeezed(features), plain(features))
        nn.init.normal_(excitation.weight)
        nn.init.zeros_(excitation.bias)
        near = squeezed(features)
        features[:, :, -1] += 1.0  # out of reach of a 3×3 kernel at the first row
        assert not torch.allclose(squeezed(features)[:, :, 0], near[:, :, 0])
        torch.testing.assert_close(plain(features)[:, :, 0], plain(images(4))[:, :, 0])


@pytest.mark.parametrize("xception", [False, True])
def test_stride_1_passes_half_of_the_channels_on_and_mixes_both_halves(xception: bool) -> None:
    features = images(8)
    output = random(ShuffleUnit(8, 8, xception=xception))(features)
    assert torch.equal(output[:, 0::2], features[:, :4]), "the first half lies between channels of the second"
    reach = influence(ShuffleUnit(8, 8, xception=xception))
    assert torch.equal(reach[1::2], torch.tensor([False, True]).repeat_interleave(4).expand(4, 8))
    twice = (reach.float() @ reach.float())[1::2] > 0
    assert (twice[:, :4].any(1) & twice[:, 4:].any(1)).all(), "a second unit works on what came from either half"


@pytest.mark.parametrize("xception", [False, True])
def test_stride_2_computes_every_channel_from_all(xception: bool) -> None:
    op = ShuffleUnit(4, 8, stride=2, xception=xception)
    assert influence(op).all()
    halves = random(op)(images(4)).unflatten(1, (4, 2))
    assert (halves[:, :, 0] != halves[:, :, 1]).any(), "two halves of their own"


def influence(op: ShuffleUnit) -> torch.Tensor:
    """Return which output channels (rows) depend on which input channels."""
    features = images(op.in_channels).abs().requires_grad_()
    output = random(op)(features)
    rows = [torch.autograd.grad(channel.sum(), features, retain_graph=True)[0] for channel in output.unbind(1)]
    return torch.stack([row.abs().sum((0, 2, 3)) > 0 for row in rows])


@pytest.mark.parametrize(("channels", "words"), [((7, 8, 3, 2), "even"), ((8, 7, 3, 2), "even"), ((8, 12), "stride 1")])
def test_channels_that_cannot_be_halved_are_refused(channels: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ShuffleUnit(*channels)
