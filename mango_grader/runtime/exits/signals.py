"""Signals: numbers by which an exit is sure of an answer, from its probabilities and those of the exits before it."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Signal = Callable[[NDArray[np.floating]], NDArray[np.float64]]
"""From probabilities (k, N, C) of exits 1 to k to the signal of exit k, (N,) in 0..1; higher is surer."""


def confidence(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the largest probability of the newest exit, (N,).

    Source: MSDNet (arXiv:1703.09844), §5.2.
    """
    largest: NDArray[np.float64] = _newest(probabilities).max(axis=1)
    return largest


def margin(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return by how much the largest probability of the newest exit exceeds the next one, (N,).

    Source: Park et al., Big/LITTLE Deep Neural Network (CODES+ISSS 2015), §3.1, the score margin.
    """
    first_two = np.partition(_newest(probabilities), -2, axis=1)
    found: NDArray[np.float64] = first_two[:, -1] - first_two[:, -2]
    return found


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 − H / ln C for the entropy H of the newest exit's C probabilities, (N,).

    Source: BranchyNet (arXiv:1709.01686), §III-C; turned and scaled to 0..1 here.
    """
    newest = _newest(probabilities)
    logs = np.log(newest, where=newest > 0, out=np.zeros_like(newest))
    found: NDArray[np.float64] = np.clip(1 + (newest * logs).sum(axis=1) / np.log(newest.shape[1]), 0, 1)
    return found


def agreement(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the largest probability of the newest exit where the exit before gives the same answer, else 0, (N,).

    The first exit has none before it, so its signal is 0.

    Source: Zhou et al., BERT Loses Patience (arXiv:2006.04152), §3.2, with a patience of one.
    """
    if len(probabilities) < 2:
        return np.zeros(probabilities.shape[1])
    same = probabilities[-1].argmax(axis=1) == probabilities[-2].argmax(axis=1)
    return np.where(same, confidence(probabilities), 0.0)


SIGNALS: Mapping[str, Signal] = {
    "confidence": confidence,
    "margin": margin,
    "entropy": entropy,
    "agreement": agreement,
}
"""Every signal, by its name in policies and manifests; the first is preferred where others do no better."""


def every_signal(name: str, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a signal at every exit, (K, N).

    Args:
        name: of the signal, see `SIGNALS`.
        probabilities: (K, N, C), calibrated, of every exit.
    """
    return np.stack([SIGNALS[name](probabilities[: index + 1]) for index in range(len(probabilities))])


def _newest(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    # Contiguous, so that sums are rounded in the same way whatever batch an image is in.
    return np.ascontiguousarray(probabilities[-1], np.float64)
