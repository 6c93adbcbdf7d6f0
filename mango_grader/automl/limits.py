"""What a result must satisfy, and how to meet it: by a narrower space, or by the width of what was found."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.errors import MangoError
from mango_grader.models.spec import NetworkSpec
from mango_grader.ranges import Count, Positive, Ranged

_SAMPLES = 64
_FEASIBLE_SHARE = 0.75
_NARROWEST, _WIDEST = 0.1, 4.0
_FINENESS = 1.01

Constraint = Callable[[Architecture], bool]
"""Whether an architecture satisfies the user's limits."""


def unconstrained(architecture: Architecture) -> bool:
    """Accept every architecture: the constraint of a search without limits."""
    return True


class InfeasibleError(MangoError):
    """No architecture within the user's limits was found.

    Args:
        space: that was searched.
        tried: how many architectures were tried.
        limits: what to call the limits.
    """

    def __init__(self, space: SearchSpace, tried: int, limits: object = "the limits") -> None:
        super().__init__(
            f"none of {tried} architectures of the space {space.config.kind!r} satisfies {limits}; "
            "raise what is limited, or search a smaller space (for example --set space.depth=8)"
        )
        self._space, self._tried = space, tried

    def under(self, limits: object) -> "InfeasibleError":
        """Return the same error, with `limits` by name."""
        return InfeasibleError(self._space, self._tried, limits)


Latency = Callable[[NetworkSpec], float]
"""A network's latency in milliseconds, up to its last exit."""


def unmeasured(spec: NetworkSpec) -> float:
    """Stand for a latency that no limit asks for."""
    return 0.0


@dataclass(frozen=True)
class Limits(Ranged):
    """Hard limits on a result, for the whole network up to its last exit; None means no limit.

    Attributes:
        max_params: learnable parameters, 1 or more.
        max_macs: multiply-accumulates for one image, 1 or more.
        max_latency: milliseconds for one image on this host, on one thread, above 0.
    """

    max_params: Count | None = None
    max_macs: Count | None = None
    max_latency: Positive | None = None

    def feasible(self, space: SearchSpace, architecture: Architecture, latency: Latency = unmeasured) -> bool:
        """Return whether an architecture, as it will be trained, satisfies all limits.

        What is known at once is checked first, so that latency is only asked for where the rest is satisfied.

        Args:
            space: that the architecture is of.
            architecture: to be checked.
            latency: from a network to its milliseconds.
        """
        spec = space.final.derive(architecture)
        return (
            (self.max_params is None or spec.params()[-1] <= self.max_params)
            and (self.max_macs is None or spec.macs()[-1] <= self.max_macs)
            and (self.max_latency is None or latency(spec) <= self.max_latency)
        )

    def __bool__(self) -> bool:
        """Say whether there is any limit."""
        return self != Limits()

    def __str__(self) -> str:
        named = {f"--{field.name.replace('_', '-')}": getattr(self, field.name) for field in fields(self)}
        return " and ".join(f"{option} {value}" for option, value in named.items() if value is not None) or "no limit"


@dataclass
class Constraints:
    """Limits as a search sees them: called with an architecture, says whether it may be proposed as things stand.

    Attributes:
        space: that the architectures are of.
        limits: that hold now; `tighten` lowers that of the latency.
        latency: predicted milliseconds of a network.
    """

    space: SearchSpace
    limits: Limits
    latency: Latency = unmeasured

    def __call__(self, architecture: Architecture) -> bool:
        """Say whether the architecture satisfies all limits."""
        return self.limits.feasible(self.space, architecture, self.latency)

    def widest(self, architecture: Architecture) -> Architecture:
        """Return the same choices at the largest width that satisfies all limits, as the function `widest` does."""
        return widest(architecture, self.limits, self.latency)

    def tighten(self, max_latency: float) -> None:
        """Allow so many predicted milliseconds from now on."""
        self.limits = replace(self.limits, max_latency=max_latency)


def fitted(config: SpaceConfig, limits: Limits, latency: Latency = unmeasured) -> SpaceConfig:
    """Return the widest of a space and its narrower versions of which three quarters of the samples are feasible.

    A space of which hardly anything is feasible wastes the search; one far below the limit wastes the allowance. Where
    no version will do, it is the narrowest.

    Args:
        config: the space.
        limits: to be satisfied.
        latency: from a network to its milliseconds.
    """
    if not limits or _enough_feasible(config, limits, latency):
        return config
    versions = [config]
    while (narrower := versions[-1].narrower()) is not None:
        versions.append(narrower)
    # What a version allows, the narrower ones allow as well.
    first = bisect_left(versions, True, lo=1, key=lambda version: _enough_feasible(version, limits, latency))
    return versions[min(first, len(versions) - 1)]


def widest(architecture: Architecture, limits: Limits, latency: Latency = unmeasured) -> Architecture:
    """Return the same choices at the largest width that satisfies the limits.

    The width multiplier is found to 1 %, from 0.1 to 4. Widths are multiples of 4, so that costs rise in steps.

    Args:
        architecture: whose choices stay.
        limits: to be satisfied.
        latency: from a network to its milliseconds.

    Raises:
        InfeasibleError: not even the narrowest satisfies the limits.
    """
    steps = int(np.log(_WIDEST / _NARROWEST) / np.log(_FINENESS))
    multipliers = [*(_NARROWEST * _FINENESS**step for step in range(steps + 1)), _WIDEST]

    def at(step: int) -> Architecture:
        return Architecture(replace(architecture.space, multiplier=round(multipliers[step], 4)), architecture.choices)

    def satisfies(step: int) -> bool:
        found = at(step)
        return limits.feasible(SearchSpace(found.space), found, latency)

    refused = bisect_left(range(len(multipliers)), True, key=lambda step: not satisfies(step))
    if refused == 0:
        raise InfeasibleError(SearchSpace(at(0).space), tried=1)
    return at(refused - 1)


def _enough_feasible(config: SpaceConfig, limits: Limits, latency: Latency) -> bool:
    space, rng = SearchSpace(config), np.random.default_rng(0)
    feasible = [limits.feasible(space, space.sample(rng), latency) for _ in range(_SAMPLES)]
    return float(np.mean(feasible)) >= _FEASIBLE_SHARE
