"""Weights of one network as the start of another: node by node, where they fit or can be made to fit."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_CANDIDATE = re.compile(r"/(k\d+e\d+|early|late)(?=\.)")  # behind the name of what is searched: see `LiteConfig`
_LAYER = re.compile(r"(?:\.\d)+\.\w+$")  # place in the block, and the tensor's name
_SQUEEZE = re.compile(r"(?P<block>.*)\.(?P<place>\d)\.squeeze\.weight")


def fitted_to(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return as much of other weights as fits a network, cropped or padded where that is possible.

    A node takes the weights of the node of its name. A searched block without one takes those of the candidate at its
    place: the middle of its kernels, or zeros around them; and of its expanded channels the most important, by
    BatchNorm's scale times the norm of what projects them. A node of other widths gets nothing. A block that has
    squeeze-excitation, and had none, takes all of its other layers.

    Args:
        own: state of the network or super net that is to be started.
        weights: state of another network or super net.
    """
    at_place = {_CANDIDATE.sub("", name): name for name in weights}
    nodes: dict[str, dict[str, Tensor | None]] = {}
    moved = _moved_by_squeezing(own, weights)
    for name, tensor in own.items():
        wanted = moved.get(name, name)
        source = wanted if wanted in weights else at_place.get(_CANDIDATE.sub("", wanted))
        if source is not None:
            fitted = _fitted(weights[source], tensor.shape, _rank(weights, _LAYER.sub("", source)))
            nodes.setdefault(_LAYER.sub("", name), {})[name] = fitted
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


def _rank(weights: Mapping[str, Tensor], node: str) -> Tensor | None:
    """Return the expanded channels of an inverted residual, the most important first; None for another node."""
    projection, scale = (weights.get(f"{node}.{layer}.weight") for layer in ("4.0", "2.1"))
    if projection is None or scale is None or projection.ndim != 4 or scale.shape != projection.shape[1:2]:
        return None
    weighty: Tensor = scale.abs() * torch.linalg.vector_norm(projection.flatten(1), dim=0)
    return weighty.argsort(descending=True)


def _fitted(source: Tensor, shape: torch.Size, rank: Tensor | None) -> Tensor | None:
    if source.ndim != len(shape):
        return None
    for place in range(2, source.ndim):
        missing = (shape[place] - source.shape[place]) // 2
        sides = (0, 0) * (source.ndim - 1 - place) + (missing, missing)
        source = torch.nn.functional.pad(source, sides)  # a negative side is cut off
    for place, size in enumerate(shape[:2]):
        if rank is not None and size < source.shape[place] == len(rank):
            source = source.index_select(place, rank[:size].sort().values)
    return source if source.shape == shape else None
