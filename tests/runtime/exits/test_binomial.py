import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from mango_grader.runtime.exits.binomial import binomial_cdf, most_losses, samples_needed


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.floats(0, 1), st.floats(1e-6, 0.999))
def test_the_bound_is_the_binomial_distribution(samples: int, share: float, rate: float) -> None:
    most = int(share * samples)
    np.testing.assert_allclose(
        binomial_cdf(most, samples, rate), binom.cdf(np.arange(most + 1), samples, rate), rtol=1e-8, atol=1e-200
    )


def test_a_million_samples_underflow_nothing() -> None:
    found = binomial_cdf(51_000, 1_000_000, 0.05)
    assert found[-1] == pytest.approx(binom.cdf(51_000, 1_000_000, 0.05), rel=1e-6)
    assert found[49_500] == pytest.approx(binom.cdf(49_500, 1_000_000, 0.05), rel=1e-6)


@pytest.mark.parametrize(
    ("eps", "delta", "needed"),
    [(0.01, 0.05, (299, 473, 628)), (0.03, 0.10, (76, 129, 176)), (0.05, 0.10, (45, 77, 105))],
)
def test_so_many_fruit_are_needed(eps: float, delta: float, needed: tuple[int, ...]) -> None:
    assert tuple(samples_needed(losses, eps, delta) for losses in range(3)) == needed
    for losses, samples in enumerate(needed):
        assert most_losses(samples, eps, delta) == losses
        assert most_losses(samples - 1, eps, delta) == losses - 1
        assert binom.cdf(losses, samples, eps) <= delta < binom.cdf(losses, samples - 1, eps)


def test_no_number_of_losses_is_proven_by_too_few() -> None:
    assert most_losses(1, 0.05, 0.1) == -1
    assert samples_needed(0, 0.95, 0.1) == 1
    assert samples_needed(5, 0.95, 0.1) == 7
    assert most_losses(7, 0.95, 0.1) == 5
