"""Bayesian optimisation over the whole table: a Gaussian process, and Thompson sampling from its marginals.

After White et al. 2021 (BANANAS: independent Thompson sampling) and Ru et al. 2021 (NAS-BOWL: a Gaussian process
over cells); the kernel counts in how many decisions two architectures differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace

_LENGTHS = (0.5, 0.8, 1.2, 1.8, 2.7, 4.0)  # in decisions
_NOISES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # variance, relative to the signal's
_FLOOR = 0.25  # quantile of the scores below which they are cut off: how bad the bad ones are says nothing


@dataclass(frozen=True)
class Posterior:
    """What is believed of every architecture after some scores: mean and sd, (all,), and the noise's sd; in scores."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    noise: float


class GaussianProcess:
    """A Sampler: length scale and noise by marginal likelihood, proposals by independent Thompson sampling."""

    def __init__(self, space: SearchSpace, everything: Sequence[Architecture], start: int = 20) -> None:
        self._all, self._start = list(everything), start
        self._place = {architecture: place for place, architecture in enumerate(self._all)}
        self._tokens = np.array([space.encode(architecture) for architecture in self._all])
        self._scores: dict[int, float] = {}
        self._apart = np.empty((len(self._all), 0), dtype=np.int64)  # from those scored, in their order
        self._believed: Posterior | None = None

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` that were not proposed before."""
        if len(self._scores) < self._start:
            draws = rng.random(len(self._all))
        else:
            believed = self.posterior()
            draws = believed.mean + believed.sd * rng.standard_normal(len(self._all))
        draws[list(self._scores)] = -np.inf
        return [self._all[place] for place in np.argsort(-draws)[:count]]

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Remember the scores."""
        new = [self._place[architecture] for architecture, _ in scored]
        self._scores.update(zip(new, (score for _, score in scored), strict=True))
        self._apart = np.hstack([self._apart, _hamming(self._tokens, self._tokens[new])])
        self._believed = None

    def posterior(self) -> Posterior:
        """Fit the scores known so far."""
        if self._believed is None:
            self._believed = self._fitted_posterior()
        return self._believed

    def _fitted_posterior(self) -> Posterior:
        places = np.array(list(self._scores))
        raw = np.array(list(self._scores.values()))
        cut = np.maximum(raw, np.quantile(raw, _FLOOR))
        scale = cut.std() + 1e-9
        y = (cut - cut.mean()) / scale
        apart = self._apart
        length, noise, variance = max(
            (_fitted(apart[places], y, *each) for each in product(_LENGTHS, _NOISES)), key=lambda fit: fit[0]
        )[1:]
        factor, lower = cho_factor(_kernel(apart[places], length) + noise * np.eye(len(y)), lower=True)
        across = _kernel(apart, length)
        explained = np.square(solve_triangular(factor, across.T, lower=lower)).sum(0)
        mean = across @ cho_solve((factor, lower), y)
        sd = np.sqrt(variance * np.maximum(1 - explained, 1e-9))
        return Posterior(mean * scale + cut.mean(), sd * scale, float(np.sqrt(variance * noise)) * scale)

    def choice(self, cost: Mapping[Architecture, float], within: float) -> Architecture:
        """Return the costliest of those asked whose mean is `within` standard deviations of the noise of the best mean.

        Scores are noisy, and the mean smooths their noise. Short trainings understate costly networks, which learn more
        slowly, so that among equals the costly ones are the better choice.
        """
        believed = self.posterior()
        asked = np.array(list(self._scores))
        near = asked[believed.mean[asked] >= believed.mean[asked].max() - within * believed.noise]
        chosen: Architecture = max((self._all[place] for place in near), key=cost.__getitem__)
        return chosen


def _hamming(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return in how many places rows differ, (len(left), len(right))."""
    return np.stack([(left != row).sum(1) for row in right], axis=1)


def _kernel(apart: NDArray[np.int64], length: float) -> NDArray[np.float64]:
    values = np.exp(-np.arange(apart.max() + 1) / length)  # few distances: look them up
    return np.asarray(values[apart])


def _fitted(
    apart: NDArray[np.int64], y: NDArray[np.float64], length: float, noise: float
) -> tuple[float, float, float, float]:
    """Return the log marginal likelihood at the best signal variance, and length, noise and that variance."""
    factor, lower = cho_factor(_kernel(apart, length) + noise * np.eye(len(y)), lower=True)
    variance = float(y @ cho_solve((factor, lower), y)) / len(y)
    log_likelihood = -len(y) / 2 * np.log(variance) - np.log(np.diag(factor)).sum()
    return float(log_likelihood), length, noise, variance
