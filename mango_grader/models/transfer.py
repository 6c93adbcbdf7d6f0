"""Weights of one network as the start of another: node by node, where they fit or can be made to fit."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

_CANDIDATE = re.compile(r"/(k\d+e\d+|early|late)(?=\.)")  # behind the name of what is searched: see `LiteConfig`
_LAYER = re.compile(r"(?:\.\d)+\.\w+$")  # place in the block, and the tensor's name
_SQUEEZE = re.compile(r"(?P<block>.*)\.(?P<place>\d)\.squeeze\.weight")


def fitted_to(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], shared: Collection[str] = ()
) -> dict[str, Tensor]:
    """Return as much of other weights as fits a network, cropped or padded where that is possible.

    A node takes the weights of the node of its name. A searched block without one takes those of the candidate at its
    place: the middle of its kernels, or zeros around them; and of its expanded channels the most important, by
    BatchNorm's scale times the norm of what projects them. A node of other widths gets nothing. A block that has
    squeeze-excitation, and had none, takes all of its other layers. Where the candidates of a block share their
    weights, it takes the channels in the order of their importance, and keeps its own beyond them.

    Args:
        own: state of the network or super net that is to be started.
        weights: state of another network or super net.
        shared: the blocks of `own` whose candidates share their weights, as `Supernet.shared` names them.
    """
    at_place = {_CANDIDATE.sub("", name): name for name in weights}
    nodes: dict[str, dict[str, Tensor | None]] = {}
    moved = _moved_by_squeezing(own, weights)
    for name, tensor in own.items():
        wanted = moved.get(name, name)
        source = wanted if wanted in weights else at_place.get(_CANDIDATE.sub("", wanted))
        if source is not None:
            node, order = _LAYER.sub("", name), _order(weights, source)
            nodes.setdefault(node, {})[name] = _fitted(weights[source], tensor, order, node in shared)
    whole = (node for node in nodes.values() if all(fitted is not None for fitted in node.values()))
    return {name: fitted for node in whole for name, fitted in node.items() if fitted is not None}


def _moved_by_squeezing(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Return what layers are called in `weights` that squeeze-excitation, missing there, has moved up by a place."""
    found = {}
    for squeeze in own:
        if (match := _SQUEEZE.fullmatch(squeeze)) and squeeze not in weights:
            block, place = match["block"], int(match["place"])
            behind = f"{block}.{place + 1}."
            found.update({name: name.replace(behind, f"{block}.{place}.") for name in own if name.startswith(behind)})
    return found


class _Order(NamedTuple):
    """The expanded channels of an inverted residual, the most important first, and the dimension that holds them."""

    channels: Tensor
    place: int


def _order(weights: Mapping[str, Tensor], name: str) -> _Order | None:
    """Return the order of the expanded channels of a tensor of an inverted residual; None where it has none."""
    node, layer = _LAYER.sub("", name), name[len(_LAYER.sub("", name)) :]
    projection, scale = (weights.get(f"{node}.{each}.weight") for each in ("4.0", "2.1"))
    if projection is None or scale is None or projection.ndim != 4 or scale.shape != projection.shape[1:2]:
        return None
    if not weights[name].ndim or (layer.startswith(".4") and layer != ".4.0.weight"):
        return None
    importance = scale.abs() * torch.linalg.vector_norm(projection.flatten(1), dim=0)
    return _Order(importance.argsort(descending=True), 1 if layer.startswith(".4") else 0)


def _fitted(source: Tensor, own: Tensor, order: _Order | None, shared: bool) -> Tensor | None:
    """Return a tensor in the shape of `own`; None where more than the kernel and the expanded channels differ."""
    if source.ndim != own.ndim:
        return None
    for place in range(2, source.ndim):
        missing = (own.shape[place] - source.shape[place]) // 2
        sides = (0, 0) * (source.ndim - 1 - place) + (missing, missing)
        source = torch.nn.functional.pad(source, sides)  # a negative side is cut off
    if order is not None:
        channels, place = order
        count = own.shape[place]
        if shared:
            source = _beginning(source.index_select(place, channels[:count]), own, place)
        elif count < len(channels):
            source = source.index_select(place, channels[:count].sort().values)
    return source if source.shape == own.shape else None


def _beginning(source: Tensor, own: Tensor, place: int) -> Tensor:
    """Return `own` with `source` as its first channels, where it is otherwise of the same shape."""
    whole = own.clone()
    first = whole.narrow(place, 0, source.shape[place])
    if first.shape != source.shape:
        return source
    first.copy_(source)
    return whole
