"""A super net on other ranks, which are told in plain data which path to open."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mango_grader.automl.architecture import space_from_dict
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Gate, Gates, Supernet
from mango_grader.training.data_parallel import Blueprint

Path = Mapping[str, Sequence[int]]
"""By decision, the indices of the candidates that are open."""


def blueprint_of(space: SearchSpace) -> Blueprint:
    """Return what other ranks make the super net of a space from.

    Args:
        space: with settings of one of `SPACES`.
    """
    return Blueprint("supernet", space.config.to_dict(), _told)


def supernet_from(settings: Mapping[str, Any]) -> nn.Module:
    """Return the super net of `blueprint_of`'s settings, which takes paths as plain data."""
    return _ToldPaths(SearchSpace(space_from_dict(settings)).supernet())


class _ToldPaths(nn.Module):
    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.supernet = supernet

    def forward(self, images: Tensor, path: Path) -> Sequence[Tensor]:
        gates = {decision: Gate(tuple(opened)) for decision, opened in path.items()}
        logits: Sequence[Tensor] = self.supernet(images, gates)
        return logits


def _told(gates: Gates) -> Path:
    """Return a path in plain data; raises ValueError for candidates that are weighted."""
    if weighted := [name for name, gate in gates.items() if gate.weight is not None]:
        raise ValueError(f"other ranks take single paths; {weighted[0]} weighs its candidates")
    return {name: list(gate.active) for name, gate in gates.items()}
