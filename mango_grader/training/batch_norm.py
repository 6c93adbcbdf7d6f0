"""Which statistics BatchNorm uses while the many networks of a super net are scored: its running averages fit none."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def batch_statistics(net: nn.Module) -> Iterator[None]:
    """Within the context, BatchNorm uses each batch's own statistics; everything else is in evaluation mode.

    Afterwards every parameter, buffer and mode is as before.
    """
    with _untouched(net) as norms:
        for norm in norms:
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        yield


@contextmanager
def recalibrated_statistics(net: nn.Module, run: Callable[[], None]) -> Iterator[None]:
    """Within the context, BatchNorm uses the plain mean of the statistics of some batches.

    Everything else is in evaluation mode; afterwards every parameter, buffer and mode is as before. Source: SPOS (Guo
    et al., 2020), §3.4.

    Args:
        net: whose BatchNorm is changed.
        run: passes the batches through `net`.
    """
    with _untouched(net) as norms:
        _average(norms, run)
        yield


def recalibrate(net: nn.Module, run: Callable[[], None]) -> None:
    """Give BatchNorm, for good, the plain mean of the statistics of some batches (SPOS, §3.4).

    Parameters and modes stay as they are.

    Args:
        net: whose BatchNorm is changed.
        run: passes the batches through `net`.
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    with torch.no_grad():
        _average([module for module in net.modules() if isinstance(module, nn.BatchNorm2d)], run)
    for module, mode in modes.items():
        module.training = mode


def _average(norms: Sequence[nn.BatchNorm2d], run: Callable[[], None]) -> None:
    """Replace running statistics by the plain mean of those of the batches of `run`; BatchNorm then uses them."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
            continue
        norm.running_mean = norm.running_mean.new_zeros(norm.num_features)
        norm.running_var = norm.running_var.new_ones(norm.num_features)
        norm.num_batches_tracked = norm.num_batches_tracked.new_zeros(())
        norm.momentum = None  # a cumulative average
        norm.training = True
    try:
        run()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum, norm.training = momentum, False


@contextmanager
def _untouched(net: nn.Module) -> Iterator[list[nn.BatchNorm2d]]:
    """Put `net` in evaluation mode, and its modes and BatchNorm buffers back afterwards."""
    modes = {module: module.training for module in net.modules()}
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    net.eval()
    buffers = [(norm, norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    try:
        yield norms
    finally:
        for norm, mean, variance, tracked in buffers:
            norm.running_mean, norm.running_var, norm.num_batches_tracked = mean, variance, tracked
        for module, mode in modes.items():
            module.training = mode
