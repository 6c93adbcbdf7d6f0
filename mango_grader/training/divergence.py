"""Losses, weights and answers must stay finite numbers; otherwise a run stops and says where and why."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mango_grader.errors import MangoError
from mango_grader.training.recipe import WeightRecipe


class DivergedError(MangoError):
    """A training or a search produced a NaN or an infinity; nothing that it computed afterwards would be of use."""


def first_not_finite(values: Sequence[Tensor | float]) -> int | None:
    """Return the index of the first scalar that is NaN or infinite, None if there is none."""
    return next((place for place, value in enumerate(values) if not math.isfinite(float(value))), None)


def all_finite(state: Any) -> bool:
    """Return whether all numbers in nested mappings, sequences and tensors are finite; waits for each device once."""
    by_device: dict[torch.device, list[Tensor]] = defaultdict(list)
    for leaf in _leaves(state):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            return False
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            by_device[leaf.device].append(leaf.isfinite().all())
    return all(bool(torch.stack(flags).all()) for flags in by_device.values())


def lower_rate_hint(name: str, recipe: WeightRecipe) -> str:
    """Return advice for weights that diverged: a lower learning rate, and clipping if it is off.

    Args:
        name: what `--set` calls the recipe.
        recipe: under which the weights diverged.
    """
    clipped = "" if recipe.clip else f", or with {name}.clip=5 (it is 0, off)"
    return f"start again with a lower {name}.lr (it is {recipe.lr:g}){clipped}"


def _leaves(state: Any) -> Iterator[Any]:
    if isinstance(state, Mapping):
        for value in state.values():
            yield from _leaves(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _leaves(value)
    else:
        yield state
