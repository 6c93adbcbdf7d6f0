import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as nats

from mango_grader.runtime.exits.signals import SIGNALS, every_signal

FIRST = [[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]
SECOND = [[0.6, 0.3, 0.1], [0.1, 0.9, 0.0], [0.0, 0.0, 1.0], [0.4, 0.3, 0.3]]
ANSWERS = np.array([FIRST, SECOND], np.float32)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("confidence", [0.7, 0.5, 1, 1 / 3], [0.6, 0.9, 1, 0.4]),
        ("margin", [0.5, 0, 1, 0], [0.3, 0.8, 1, 0.1]),
        ("entropy", 1 - nats(FIRST, axis=1) / np.log(3), 1 - nats(SECOND, axis=1) / np.log(3)),
        ("agreement", [0, 0, 0, 0], [0.6, 0, 0, 0.4]),
    ],
)
def test_signals_are_those_of_their_definitions(name: str, first: list[float], second: list[float]) -> None:
    np.testing.assert_allclose(every_signal(name, ANSWERS), [first, second], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(SIGNALS)), st.integers(2, 12), st.integers(0, 1000), st.floats(0.01, 200))
def test_signals_lie_between_0_and_1(name: str, classes: int, seed: int, scale: float) -> None:
    logits = np.random.default_rng(seed).normal(scale=scale, size=(3, 40, classes))
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    found = every_signal(name, (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32))
    assert found.shape == (3, 40)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("name", SIGNALS)
def test_an_answer_that_is_no_number_is_never_sure(name: str) -> None:
    answers = np.full((2, 1, 3), np.nan, np.float32)
    assert not (SIGNALS[name](answers) >= 1e-9).any()
