import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mango_grader.runtime.exits import StageTimes


def test_the_expected_time_is_the_99th_percentile() -> None:
    times = StageTimes([np.linspace(1, 500, 500).tolist(), [7.0]])
    assert (times.expected(0), times.expected(1), len(times)) == (495.0, 7.0, 2)


def test_five_slow_images_in_500_are_taken_for_chance_and_six_are_not() -> None:
    times = StageTimes([[1.0] * 500, [1.0] * 500])
    for _ in range(5):
        times.learn([1.0, 90.0])
    assert times.expected(1) == 1.0
    times.learn([1.0, 90.0])
    assert times.expected(1) == 90.0


def test_a_stage_that_was_slow_is_tried_again_2000_images_later() -> None:
    times = StageTimes([[1.0] * 500, [3.0] * 500])
    for _ in range(6):
        times.learn([1.0, 90.0])
    waited = 0
    while times.expected(1) > 50:
        times.refuse(1)
        waited += 1
    assert waited == 4 * 495, "the first of six slow times is gone"
    assert times.expected(1) == 3.0


def test_first_times_of_a_slow_moment_do_not_keep_a_stage_from_running_for_ever() -> None:
    times = StageTimes([[10.0] * 20, [30.0] * 20])
    for _ in range(5000):
        times.learn([1.0, math.nan])
        times.refuse(1)
    assert times.expected(1) == pytest.approx(3.0)


def test_a_first_stage_that_became_slower_leaves_the_others_as_they_were() -> None:
    times = StageTimes([[1.0] * 20, [3.0] * 20])
    for _ in range(3000):
        times.learn([50.0, math.nan])
        times.refuse(1)
    assert (times.expected(0), times.expected(1)) == (50.0, 3.0)


def test_the_window_rolls_like_the_quantile_of_the_last_times() -> None:
    rng = np.random.default_rng(0)
    first, later = rng.exponential(2, 30), rng.exponential(5, 400)
    times = StageTimes([first.tolist()], window=100)
    for number, one in enumerate(later, 1):
        times.learn([one])
        kept = np.concatenate([first, later[:number]])[-100:]
        assert times.expected(0) == np.quantile(kept, 0.99, method="inverted_cdf")


def test_eight_threads_lose_no_time() -> None:
    times = StageTimes([[0.0], [0.0]], window=20_000)

    def learn(_: int) -> None:
        for number in range(1, 1001):
            times.learn([float(number), 2.0 * number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(learn, range(8)))
    # 8 times each of 1 … 1000 and one 0: the 7,921st of 8,001.
    assert (times.expected(0), times.expected(1)) == (990.0, 1980.0)


@pytest.mark.parametrize("samples", [[[]], [[1.0], []], [[math.nan]], [[-1.0]], [[math.inf]]])
def test_what_is_no_time_is_refused(samples: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="finite times"):
        StageTimes(samples)


def test_a_stage_that_did_not_run_keeps_its_times() -> None:
    times = StageTimes([[1.0] * 500, [3.0] * 500])
    for _ in range(6):
        times.learn([1.0, 90.0])
    for _ in range(3000):
        times.learn([1.0, math.nan])
    assert times.expected(1) == 90.0
