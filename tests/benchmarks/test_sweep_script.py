"""The time of a sweep on Ray beside this machine's: what is computed from figures; sweeps have tests of their own."""

import pytest

from benchmarks.suite.sweep import summarise


def test_a_round_on_ray_is_compared_with_the_same_round_here() -> None:
    def found(seconds: float, outcomes: str = "same") -> dict[str, object]:
        return {"seconds": seconds, "runs": 12, "outcomes": outcomes}

    figures = {"local/0": found(100), "ray/0": found(110), "local/1": found(50), "ray/1": found(60)}
    local, ray = summarise(figures)
    assert (local["to_local"], local["seconds"]) == (1.0, 75.0)
    assert ray["to_local"] == pytest.approx((1.1 + 1.2) / 2)
    assert ray["same_outcomes"]
    _, ray = summarise({**figures, "ray/1": found(60, "others")})
    assert not ray["same_outcomes"]
