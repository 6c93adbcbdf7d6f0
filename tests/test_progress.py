"""What long work tells of itself, on a clock that the tests turn."""

import io
import json

import pytest

from mango_grader.progress import LineProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose only number is the time."""
    now = [100.0]
    monkeypatch.setattr("mango_grader.progress.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("first", "each", "count"), [(0.6, 0.01, 5000), (5.0, 0.001, 100_000), (9.0, 4.0, 5)])
def test_a_slow_first_unit_spoils_no_estimate(clock: list[float], first: float, each: float, count: int) -> None:
    """The first image waits for imports and threads: its time, multiplied by thousands, was the first estimate."""
    out = io.StringIO()
    with LineProgress(out, as_json=True, every=5.0).task("work", count) as task:
        for number in range(count):
            clock[0] += each if number else first
            task.advance()
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    told = [(row["left_s"], each * (count - row["done"])) for row in rows if row["left_s"] is not None]
    assert len(told) >= 2
    assert told[-1] == (0.0, 0.0)
    assert all(left == pytest.approx(truth, rel=0.02) for left, truth in told)


def test_the_first_estimate_is_told_as_soon_as_there_is_one(clock: list[float]) -> None:
    out = io.StringIO()
    with LineProgress(out, as_json=True, every=3600.0).task("work", 100) as task:
        for _ in range(30):
            clock[0] += 0.04
            task.advance()
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["left_s"] is None
    assert second["left_s"] == pytest.approx(0.04 * (100 - second["done"]), abs=0.01)


def test_an_estimate_that_the_caller_knows_is_told() -> None:
    out = io.StringIO()
    with LineProgress(out, every=0.0).task("search", 3) as task:
        task.advance(left=90.0, loss=1.5)
    assert out.getvalue() == "search: 1/3, loss 1.5, 1 min 30 s left\n"
