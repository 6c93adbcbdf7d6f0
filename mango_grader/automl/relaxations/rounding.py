"""From relaxed scores to an architecture within the user's limits, for methods that learn a score per candidate."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import Constraint
from mango_grader.automl.samplers import UniformSampler
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import Decision

Scores = Mapping[str, NDArray[np.float64]]

_STRENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)  # of the noise, as shares of the scores' mean range
_DRAWS = 64
_NEVER = 1e-9


def nearest_feasible(
    space: SearchSpace, scores: Scores, feasible: Constraint, rng: np.random.Generator
) -> Architecture:
    """Return the architecture of the highest scores, or a feasible one of nearly that score.

    An architecture's score is the sum over all that it chooses. The papers search without limits, so this is our
    reading: rounding is repeated under normal noise, from weak noise that only turns close calls to noise that hides
    the scores, and the best feasible draw is kept (a uniform one is the last resort). Then each decision returns to its
    favourite choice where that is still feasible, the largest gain first.

    Args:
        space: to choose from.
        scores: (candidates,) per decision, higher is better.
        feasible: whether an architecture may be the result.
        rng: for the noise.

    Raises:
        InfeasibleError: nothing drawn is feasible.
    """
    favourite = space.nearest(scores)
    if feasible(favourite):
        return favourite

    def lost(found: Architecture, decision: Decision) -> float:
        values = dict(zip(decision.candidates, scores[decision.name], strict=True))
        wanted, taken = favourite.choices[decision.name], found.choices[decision.name]
        return float(sum(values[name] for name in wanted) - sum(values[name] for name in taken))

    drawn = _feasible_draws(space, scores, feasible, rng)
    found = min(drawn, key=lambda architecture: sum(lost(architecture, decision) for decision in space.decisions))
    for decision in sorted(space.decisions, key=lambda decision: -lost(found, decision)):
        back = Architecture(found.space, {**found.choices, decision.name: favourite.choices[decision.name]})
        if lost(found, decision) > 0 and feasible(back):
            found = back
    return found


def drawn_by(space: SearchSpace, preference: Scores, rng: np.random.Generator) -> Architecture:
    """Return an architecture drawn by what a method prefers, each decision by itself.

    A free candidate is chosen with its own preference. Where a decision must choose, its candidates are drawn without
    replacement, each in proportion to its preference (the Gumbel trick).

    Args:
        space: to choose from.
        preference: (candidates,) per decision, how likely each is to be chosen, in [0, 1].
        rng: for the draw.
    """
    scores = {}
    for decision in space.decisions:
        shares = np.clip(preference[decision.name], _NEVER, 1 - _NEVER)
        if decision.free:
            scores[decision.name] = np.log(shares / (1 - shares)) + rng.logistic(size=len(shares))
        else:
            scores[decision.name] = np.log(shares) + rng.gumbel(size=len(shares))
    return space.nearest(scores)


def _feasible_draws(
    space: SearchSpace, scores: Scores, feasible: Constraint, rng: np.random.Generator
) -> Sequence[Architecture]:
    scale = float(np.mean([np.ptp(values) for values in scores.values()])) or 1.0
    deviations = [strength * scale for strength in _STRENGTHS for _ in range(_DRAWS)]
    drawn = [
        space.nearest({name: values + rng.normal(0.0, deviation, len(values)) for name, values in scores.items()})
        for deviation in deviations
    ]
    found = [architecture for architecture in dict.fromkeys(drawn) if feasible(architecture)]
    return found or UniformSampler(space, feasible).ask(rng, 1)
