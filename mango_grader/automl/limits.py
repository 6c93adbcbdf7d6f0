"""What a result must obey, and how a space is narrowed so that most of it does."""

from dataclasses import dataclass

import numpy as np

from mango_grader.automl.architecture import Architecture, SpaceConfig
from mango_grader.automl.spaces import SearchSpace

_SAMPLES = 64
_ADMITTED = 0.75


@dataclass(frozen=True)
class Limits:
    """What a result must obey; None means no limit. Both count the whole network, up to its last exit."""

    max_params: int | None = None
    max_macs: int | None = None

    def admit(self, space: SearchSpace, architecture: Architecture) -> bool:
        """Say whether the architecture, as it will be trained, obeys all limits."""
        spec = space.final.resolve(architecture)
        within_params = self.max_params is None or spec.params()[-1] <= self.max_params
        return within_params and (self.max_macs is None or spec.macs()[-1] <= self.max_macs)

    def __str__(self) -> str:
        named = [("--max-params", self.max_params), ("--max-macs", self.max_macs)]
        return " and ".join(f"{option} {value}" for option, value in named if value is not None) or "no limit"


def fitted(config: SpaceConfig, limits: Limits) -> SpaceConfig:
    """Return the widest of `config` and its narrower versions of which three quarters of the samples obey the limits.

    A space of which hardly anything is allowed wastes the search, one far below the limit wastes the allowance. The
    narrowest version is returned if none will do.
    """
    while _admitted_share(config, limits) < _ADMITTED:
        narrower = config.narrower()
        if narrower is None:
            break
        config = narrower
    return config


def _admitted_share(config: SpaceConfig, limits: Limits) -> float:
    space, rng = SearchSpace(config), np.random.default_rng(0)
    return float(np.mean([limits.admit(space, space.sample(rng)) for _ in range(_SAMPLES)]))
