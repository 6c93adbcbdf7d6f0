"""The exact binomial bound on a risk: how many losses still prove it, and how many samples that needs."""

import numpy as np
from numpy.typing import NDArray


def binomial_cdf(most: int, samples: int, rate: float) -> NDArray[np.float64]:
    """Return the probabilities of at most 0, 1, …, `most` losses in independent samples, (most + 1,).

    Summed as logarithms, so that no term underflows.

    Args:
        most: losses, 0..samples.
        samples: their number, 1 or more.
        rate: probability of a loss, above 0 and below 1.

    Example:
        >>> [round(float(one), 3) for one in binomial_cdf(2, 4, 0.5)]
        [0.062, 0.312, 0.688]
    """
    losses = np.arange(1, most + 1)
    odds = np.log(rate) - np.log1p(-rate)
    steps = np.log(samples - losses + 1) - np.log(losses) + odds  # from one term to the next
    terms = samples * np.log1p(-rate) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.minimum(np.exp(np.logaddexp.accumulate(terms)), 1.0)


def most_losses(samples: int, rate: float, error: float) -> int:
    """Return the most losses with which a risk of `rate` or more is rejected; −1 if no number is.

    Args:
        samples: 1 or more.
        rate: the risk, above 0 and below 1.
        error: accepted probability that a risk above `rate` is taken for a lower one, above 0 and below 1.
    """
    return int(np.searchsorted(binomial_cdf(samples, samples, rate), error, side="right")) - 1


def samples_needed(losses: int, rate: float, error: float) -> int:
    """Return the least number of samples in which `losses` still prove a risk below `rate`.

    Args:
        losses: 0 or more.
        rate: the risk, above 0 and below 1.
        error: as for `most_losses`.

    Example:
        >>> [samples_needed(losses, rate=0.05, error=0.1) for losses in (0, 1, 2)]
        [45, 77, 105]
    """

    def proves(samples: int) -> bool:
        return bool(binomial_cdf(losses, samples, rate)[-1] <= error)

    low, high = losses, losses + 1  # `low` samples, all of them lost, prove nothing.
    while not proves(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high
