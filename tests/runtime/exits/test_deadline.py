import time

import numpy as np
import pytest

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits import (
    CalibrationSet,
    Deadline,
    ExitAt,
    PolicyContext,
    Reached,
    StageTimes,
    Threshold,
    parse_exit_policy,
    stop_exits,
)

TIMES = StageTimes([[1.0], [10.0], [40.0]])
ANSWERS = np.array([[0.95, 0.05], [0.6, 0.4]], np.float32)


def no_calibration() -> CalibrationSet:
    raise UsageError("none")


def context(times: StageTimes = TIMES) -> PolicyContext:
    return PolicyContext(
        macs=(1, 2, 3),
        thresholds={"threshold": Thresholds("confidence", (0.9, 0.9))},
        read_calibration=no_calibration,
        stage_times=lambda: times,
    )


def at(exit_index: int, passed_ms: float) -> Reached:
    """Return two images at an exit that were handed in some milliseconds ago."""
    return Reached(np.stack([ANSWERS] * (exit_index + 1)), time.perf_counter() - passed_ms / 1e3)


@pytest.mark.parametrize(
    ("exit_index", "passed", "ms", "stops"),
    [
        (0, 0, 10_000, False),
        (0, 0, 11.2, True),  # 10 ms, 1 ms and 0.3 ms beside it
        (0, 9_990, 10_000, True),
        (0, 9_900, 10_000, False),
        (1, 9_900, 10_000, False),
        (1, 9_960, 10_000, True),
        (1, 20_000, 10_000, True),
    ],
)
def test_a_stage_starts_only_if_it_is_expected_to_end_in_time(
    exit_index: int, passed: float, ms: float, stops: bool
) -> None:
    assert Deadline(ms, TIMES).settled(at(exit_index, passed)).tolist() == [stops, stops]


def test_an_image_stops_when_either_policy_says_so() -> None:
    sure = Deadline(10_000, TIMES, Threshold((0.9, 0.9)))
    assert sure.settled(at(0, 0)).tolist() == [True, False]
    assert sure.settled(at(0, 9_999)).tolist() == [True, True]
    assert Deadline(10_000, TIMES, ExitAt(0)).settled(at(0, 0)).all()


def test_the_earlier_of_two_deadlines_counts() -> None:
    policy = Deadline(20, TIMES, ExitAt(1))
    assert policy.tightened(5) == Deadline(5, TIMES, ExitAt(1))
    assert policy.tightened(50) == policy


def test_stored_answers_take_the_expected_times() -> None:
    stored = np.stack([ANSWERS] * 3)
    stops = {ms: stop_exits(Deadline(ms, TIMES), stored).tolist() for ms in (5, 13, 50, 60)}
    assert stops == {5: [0, 0], 13: [1, 1], 50: [1, 1], 60: [2, 2]}


@pytest.mark.parametrize(
    ("text", "ms"), [("25ms", 25.0), ("0.5s", 500.0), ("2s", 2000.0), ("7.25ms", 7.25), ("0.025s", 25.0)]
)
def test_durations_have_units(text: str, ms: float) -> None:
    policy = parse_exit_policy(f"deadline:{text}", context())
    assert isinstance(policy, Deadline)
    assert policy.ms == pytest.approx(ms)
    assert str(policy) == f"deadline:{ms:g}ms"
    assert parse_exit_policy(str(policy), context()) == policy


@pytest.mark.parametrize(
    "text",
    [
        "25",
        "ms",
        "0ms",
        "0.0s",
        "-5ms",
        "+5ms",
        "1e3ms",
        "nanms",
        "infs",
        "25 ms",
        "25m",
        "25MS",
        "٢ms",
        "9" * 400 + "s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"such as 25ms or 0\.5s") as refused:
        parse_exit_policy(f"deadline:{text}", context())
    assert len(str(refused.value)) < 120


def test_a_deadline_without_a_duration_says_how_it_is_written() -> None:
    for text in ("deadline", "deadline:"):
        with pytest.raises(UsageError, match="deadline"):
            parse_exit_policy(text, context())


def test_a_deadline_that_exit_1_cannot_meet_is_taken_with_a_warning() -> None:
    policy = parse_exit_policy("deadline:1ms", context())
    assert isinstance(policy, Deadline)
    assert "1 ms is shorter than exit 1 takes here" in (policy.warning or "")
    assert Deadline(25, TIMES).warning is None


def test_a_deadline_needs_a_loaded_model() -> None:
    alone = PolicyContext(macs=(1,), thresholds={}, read_calibration=no_calibration)
    with pytest.raises(UsageError, match=r"Grader\.load"):
        parse_exit_policy("deadline:25ms", alone)
