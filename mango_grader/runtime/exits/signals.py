"""Signals: numbers by which an exit is sure of an answer, from its probabilities and those of the exits before it."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Signal = Callable[[NDArray[np.floating]], NDArray[np.floating]]
"""From probabilities (k, N, C) of exits 1 to k to the signal of exit k, (N,) in 0..1; higher is surer."""


def confidence(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the largest probability of the newest exit, (N,)."""
    largest: NDArray[np.floating] = probabilities[-1].max(axis=1)
    return largest


SIGNALS: Mapping[str, Signal] = {"confidence": confidence}
"""Every signal, by its name in policies and manifests."""
