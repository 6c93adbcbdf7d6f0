"""Probabilities at temperature 1, which depend on the network alone."""

import numpy as np
from numpy.typing import NDArray


def plain_probabilities(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return probabilities (N, C) at temperature 1, p^T / Σ p^T of those at another.

    Temperatures are fitted on the calibration fruit. What is proven on the same fruit must not depend on them, for no
    data may be used twice. That is exact but for temperatures below 0.1, where single precision no longer holds the
    small probabilities.

    Args:
        probabilities: (N, C), at `temperature`.
        temperature: above 0.
    """
    values = np.ascontiguousarray(probabilities, np.float64)
    powers = np.power(values / values.max(axis=1, keepdims=True), temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
