"""Intervals by resampling groups."""

import numpy as np

from mango_grader.training.bootstrap import GroupBootstrap


def test_draws_of_a_bootstrap_are_those_of_one_piece() -> None:
    """They are drawn piece by piece, since those of many groups at once take gigabytes."""
    values = np.random.default_rng(0).normal(size=40)
    found = GroupBootstrap([str(number) for number in range(40)], seed=3, replicates=600).estimate(
        np.stack([values, np.ones(40)], axis=1), lambda sums: sums[:, 0] / sums[:, 1]
    )
    order = np.argsort([str(number) for number in range(40)])
    draws = np.random.default_rng(3).multinomial(40, np.full(40, 1 / 40), 600) @ values[order] / 40
    np.testing.assert_allclose([found.low, found.high], np.percentile(draws, [2.5, 97.5]))
