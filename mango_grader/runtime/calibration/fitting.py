"""Temperatures and exit thresholds, both fitted on validation data only.

Validation parts of fruit sets are small (some eighty images are common), so both fits are cautious: a weak prior holds
the temperature near 1, and the thresholds have one free number, which is searched on a smooth path.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits.shares import NEVER, first_reached, geometric_thresholds
from mango_grader.runtime.exits.signals import SIGNALS, every_signal
from mango_grader.runtime.inference.sessions import softmax

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
# Two thirds of plausible temperatures lie within a factor of e^0.5 of 1; weighs as much as a handful of images.
_PRIOR_SD = 0.5
_PRECISION = 1e-6  # of a log temperature
# Ratios of the share of one exit to that of the exit before it, from "nearly all leave first" to "nearly none".
_RATIOS = np.geomspace(1e-4, 1e4, 401)


@dataclass(frozen=True)
class Calibration:
    """What turns logits into probabilities and decides when to stop; chosen on validation data alone.

    Attributes:
        temperatures: (K,), by which each exit's logits are divided, above 0.
        thresholds: (K − 1,), at which the threshold policy stops, for each exit but the last.
        signal: name of what is compared with them.
    """

    temperatures: tuple[float, ...]
    thresholds: tuple[float, ...]
    signal: str = "confidence"

    @property
    def tuned(self) -> Thresholds:
        """The numbers of the exit policy "threshold"."""
        return Thresholds(self.signal, self.thresholds)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from a run's metrics; earlier versions knew one signal."""
        return cls(tuple(data["temperatures"]), tuple(data["thresholds"]), data.get("signal", "confidence"))


def calibrated(logits: NDArray[np.float32], temperatures: Sequence[float]) -> NDArray[np.float32]:
    """Return softmax(logits / temperature), (K, N, C).

    Args:
        logits: (K, N, C), of every exit.
        temperatures: (K,), above 0.
    """
    return softmax(logits / np.asarray(temperatures, np.float32)[:, None, None])


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the temperature T, in [0.05, 20], for which softmax(logits / T) has the lowest negative log likelihood.

    A normal prior on log T (mean 0, standard deviation 0.5) keeps T finite where every image is answered correctly.
    Source: Guo et al. (2017), §4.2; the prior is ours.

    Args:
        logits: (N, C), of validation images; N may be small or 0.
        labels: int (N,).
    """
    scores = np.asarray(logits, dtype=np.float64)
    scores = scores - scores.max(axis=1, keepdims=True) if len(scores) else scores
    truth = scores[np.arange(len(scores)), labels]

    def cost(log_temperature: float) -> float:
        temperature = np.exp(log_temperature)
        nats = np.log(np.exp(scores / temperature).sum(axis=1)) - truth / temperature
        return float(nats.sum() + 0.5 * np.square(log_temperature / _PRIOR_SD))

    # A grid first: the prior may give the cost a second dip, and a bounded search finds only the nearest.
    grid = np.linspace(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE), 121)
    best = int(np.argmin([cost(point) for point in grid]))
    found = float(np.exp(_lowest(cost, grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])))
    return min(max(found, MIN_TEMPERATURE), MAX_TEMPERATURE)


def _lowest(cost: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one dip between `low` and `high` is lowest, by golden section search."""
    golden = (np.sqrt(5.0) - 1) / 2
    while high - low > _PRECISION:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if cost(left) < cost(right) else (left, high)
    return (low + high) / 2


def tune_threshold(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    macs: Sequence[int],
    max_cost: float = 0.55,
    max_loss: float = 0.01,
    signals: Collection[str] = SIGNALS,
) -> Thresholds:
    """Return the signal and thresholds of the exit policy "threshold".

    A geometric share of the images stops at each exit, the surest first; thresholds are the validation values of the
    signal at those shares. The one free number is the ratio of the geometric series. It is chosen so that the mean
    cost comes as near as possible to `max_cost`, but not above it; among ratios of equal cost the more accurate wins.

    Why the whole budget is spent, instead of picking the most accurate ratio: with eighty images one point of accuracy
    is less than one image, so picking by accuracy follows noise, while accuracy rises with cost on the whole. The
    default of 0.55 leaves a margin for unseen data under a goal of 0.60. Early exits may be too weak or too expensive
    for that. If the answers lose more than `max_loss` of accuracy against the last exit, by more than one standard
    error of that paired difference, the cheapest ratio above the budget that does not is taken.

    Of the signals, the one that keeps to loss and cost and then answers the most accurately is taken; the first of
    equals, confidence.

    Source: MSDNet (Huang et al., 2018), §5.2, budgeted batch classification.

    Args:
        probabilities: (K, N, C), calibrated, of every exit on validation images.
        labels: int (N,).
        macs: (K,), multiply-adds up to and with each exit.
        max_cost: budget for the mean cost, as a share of the last exit's.
        max_loss: loss of accuracy that is accepted, 0..1.
        signals: names of those that may be chosen, the preferred one first.
    """
    if len(macs) < 2:
        return Thresholds(next(iter(signals)), ())
    relative = np.asarray(macs, dtype=np.float64) / macs[-1]
    correct = np.asarray(probabilities).argmax(axis=2) == labels
    found = [_tune(name, probabilities, correct, relative, (max_cost, max_loss)) for name in signals]
    return max(found, key=lambda one: (not one.loses, one.cost <= max_cost, one.accuracy)).thresholds


@dataclass(frozen=True)
class _Trial:
    """What thresholds do on the validation data; `loses` says whether they clearly lose too much accuracy."""

    thresholds: Thresholds
    cost: float
    accuracy: float
    loses: bool

    def spending(self) -> tuple[float, float]:
        return self.cost, self.accuracy

    def saving(self) -> tuple[float, float]:
        return self.cost, -self.accuracy


def _tune(
    name: str,
    probabilities: NDArray[np.floating],
    correct: NDArray[np.bool_],
    relative: NDArray[np.float64],
    limits: tuple[float, float],
) -> _Trial:
    """Return the best thresholds on one signal; `limits` are those of cost and of loss."""
    max_cost, max_loss = limits
    signals = every_signal(name, probabilities)

    def tried(thresholds: tuple[float, ...]) -> _Trial:
        stops = first_reached(signals, thresholds)
        answers = correct[stops, np.arange(correct.shape[1])]
        lost = correct[-1].astype(np.float64) - answers
        error = float(np.sqrt(np.square(lost).sum())) / len(lost)
        loses = bool(lost.mean() - error > max_loss)
        return _Trial(Thresholds(name, thresholds), float(relative[stops].mean()), float(answers.mean()), loses)

    trials = [tried(geometric_thresholds(signals, ratio)) for ratio in _RATIOS]
    best = max((trial for trial in trials if trial.cost <= max_cost), default=None, key=_Trial.spending)
    if best is None or best.loses:
        dearer = (trial for trial in trials if trial.cost > max_cost and not trial.loses)
        best = min(dearer, default=best, key=_Trial.saving)
    return best or tried((NEVER,) * (len(relative) - 1))
