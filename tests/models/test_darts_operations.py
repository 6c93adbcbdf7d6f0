"""What DARTS's cells add: separable and dilated convolutions behind a ReLU, and the factorised reduction."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mango_grader.models.modules import build_operation
from mango_grader.models.operations import CellConvolution, FactorisedReduction, Operation

OPERATIONS = [
    CellConvolution(6, 3, repeats=2),
    CellConvolution(6, 5, stride=2, repeats=2),
    CellConvolution(6, 5, stride=2, dilation=2),
    FactorisedReduction(6, 8),
    FactorisedReduction(6, 7),
]


@pytest.mark.parametrize("op", OPERATIONS, ids=str)
@pytest.mark.parametrize("size", [(8, 10), (7, 9), (1, 5)])
def test_shape_and_costs_are_what_torch_makes_and_counts(op: Operation, size: tuple[int, int]) -> None:
    module = build_operation(op).eval()
    with FlopCounterMode(display=False) as counter:
        made = module(torch.randn(1, 6, *size))
    assert tuple(made.shape[1:]) == op.output([(6, *size)])
    assert op.macs([(6, *size)]) == counter.get_total_flops() / 2
    assert op.params() == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_the_two_halves_of_a_factorised_reduction_read_different_pixels(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = build_operation(FactorisedReduction(2, 4)).eval()
    images = torch.rand(1, 2, *size) + 0.5
    read = []
    for channels in (slice(0, 2), slice(2, 4)):
        images.requires_grad_().grad = None
        module(images)[:, channels].sum().backward()
        read.append(images.grad.abs().sum((0, 1)) > 0)
    even, odd = read
    assert bool(even[::2, ::2].all())
    assert int(even.sum()) == even[::2, ::2].numel()
    assert bool(odd[1::2, 1::2].all())
    assert int(odd.sum()) == odd[1::2, 1::2].numel()


@pytest.mark.parametrize(("op", "reach"), [(OPERATIONS[0], 5), (CellConvolution(6, 5, dilation=2), 9)], ids=str)
def test_kernels_see_as_far_as_they_should(op: Operation, reach: int) -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 6, 21, 21) + 0.5).requires_grad_()
    build_operation(op).eval()(images)[0, :, 10, 10].square().sum().backward()
    rows = images.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == reach
