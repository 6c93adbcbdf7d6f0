"""Who asks: our samplers as their methods use them, and query methods of others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.lib.nasbench.gaussian import GaussianProcess
from benchmarks.lib.nasbench.published import LocalSearch, RegularisedEvolution
from benchmarks.lib.nasbench.table import SPACE, Queries, SpentError, Table
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.samplers import (
    Controller,
    ControllerSettings,
    Evolution,
    EvolutionSettings,
    Sampler,
    UniformSampler,
    VaeSampler,
    VaeSettings,
)

EPSILON_STEPS = (0.0, 0.04, 0.05, 0.0625, 0.1, 0.2, 0.5)  # TNAS, Table 4
VAE = VaeSettings(layers=1, steps=30)
# Tuned on CIFAR-10 among 0.003 to 0.02; MNet's 0.1 collapses the controller within some 50 steps.
CONTROLLER = ControllerSettings(lr=0.003, baseline_decay=0.9)
EVOLUTION = EvolutionSettings(population=25, crossovers=12, mutations=13)


class Mixture:
    """Γ(a) = (1 − ε)·U(a) + ε·p_θ(a|z), ε rising by a step with every round (TNAS, Eq. 11)."""

    def __init__(self, step: float) -> None:
        self.vae, self._step, self._epsilon = VaeSampler(SPACE, VAE), step, 0.0

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Draw from both, then raise ε."""
        learned = int(rng.binomial(count, self._epsilon))
        self._epsilon = min(1.0, self._epsilon + self._step)
        return self.vae.ask(rng, learned) + [SPACE.sample(rng) for _ in range(count - learned)]

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Refit the VAE."""
        self.vae.tell(scored)


@dataclass(frozen=True)
class Searcher:
    """A query method: how it is made for a table, how many it asks at a time, on how many seeds it is measured.

    model: what it learned, to draw from after the queries; None where it is no distribution.
    """

    make: Callable[[Table], Sampler]
    round: int
    seeds: int
    model: Callable[[Sampler], Sampler] | None = None


def everything(_: Architecture) -> bool:
    return True


def _mixture(step: float, _: Table) -> Sampler:
    return Mixture(step)


def _vae_of(mixture: Sampler) -> Sampler:
    assert isinstance(mixture, Mixture)
    return mixture.vae


def itself(sampler: Sampler) -> Sampler:
    return sampler


def searchers(many: int, few: int) -> dict[str, Searcher]:
    """Return every method by name: `many` seeds for those without a model, `few` for learned ones."""
    return {
        "random": Searcher(lambda _: UniformSampler(SPACE, everything), 5, many, itself),
        "evolution": Searcher(lambda _: Evolution(SPACE, everything, EVOLUTION), 25, many),
        "regularised evolution": Searcher(lambda _: RegularisedEvolution(SPACE), 1, many),
        "local search": Searcher(lambda _: LocalSearch(SPACE), 1, many),
        "gaussian process": Searcher(lambda table: GaussianProcess(SPACE, list(table.validation)), 10, few),
        "controller": Searcher(lambda _: Controller(SPACE, CONTROLLER), 4, few, itself),
        **{f"vae {step:g}": Searcher(partial(_mixture, step), 25, few, _vae_of) for step in EPSILON_STEPS},
    }


def spend(sampler: Sampler, queries: Queries, rng: np.random.Generator, count: int, seen: Callable[[], None]) -> None:
    """Ask and tell until the queries are spent; `seen` is called after each round."""
    try:
        while True:
            sampler.tell([(found, queries(found)) for found in sampler.ask(rng, count)])
            seen()
    except SpentError:
        return
