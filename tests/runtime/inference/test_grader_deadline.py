"""Deadlines on real bundles, one of which has a second stage that takes long."""

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, make_bundle, solid
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.runtime import Deadline, Grader, StageTimes

LATE, NEVER = 3_600_000.0, 0.001  # deadlines in milliseconds that every image meets, and none
FAST, SLOW = [0.05] * 500, [5_000.0] * 500


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose second stage takes 10 ms or more."""
    return make_bundle(tmp_path_factory.mktemp("slow") / "slow.mango", products=60)


@pytest.fixture(scope="module")
def too_short(slow: Path) -> float:
    """A deadline that the first stage of `slow` meets, and the second one cannot."""
    grader = Grader.load(slow, "cpu", check=False)
    return min(grader.grade(solid("red")).infer_ms for _ in range(10)) / 2


@pytest.fixture(autouse=True)
def no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def load(path: Path, ms: float, second_stage: list[float]) -> Grader:
    return Grader.load(path, "cpu", policy=Deadline(ms, StageTimes([FAST, second_stage])), check=False)


def test_each_image_goes_on_only_where_the_next_stage_fits(bundle: Path) -> None:
    images = [solid(name) for name in CLASSES]
    for ms, second, wanted in ((LATE, FAST, 2), (LATE, SLOW, 2), (1_000.0, SLOW, 1)):
        records = list(load(bundle, ms, second).stream(images))
        assert [record.exit for record in records] == [wanted] * 3
        assert [record.late for record in records] == [False] * 3


def test_without_a_deadline_nothing_is_said_of_one(bundle: Path) -> None:
    grader = Grader.load(bundle, "cpu")
    assert grader.grade(solid("red")).late is None
    assert [record.late for record in grader.grade_many([solid("red"), b""])] == [None, None]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_that_is_slower_than_measured_makes_six_images_late_and_loses_none(
    slow: Path, too_short: float, workers: int
) -> None:
    policy = Deadline(too_short, StageTimes([FAST, FAST]))
    grader = Grader.load(slow, "cpu", policy=policy, check=False)
    names = [CLASSES[number % 3] for number in range(60)]
    if workers == 1:
        records = list(grader.stream(map(solid, names)))
    else:
        with ThreadPoolExecutor(workers) as pool:
            records = list(pool.map(lambda name: grader.grade(solid(name)), names))
    assert [record.grade for record in records] == names
    assert all(record.late for record in records if record.exit == 2)
    tried = sum(record.exit == 2 for record in records)
    assert 6 <= tried <= 6 + 2 * workers, "one in a hundred of the last 500 may be late, no more"
    assert policy.times.expected(1) > too_short


def test_every_late_answer_is_marked_even_that_of_an_image_that_cannot_be_read(bundle: Path) -> None:
    records = list(load(bundle, NEVER, FAST).grade_many([solid("red"), b"no image", solid("green")]))
    assert [(record.grade, record.exit, record.late) for record in records] == [
        ("red", 1, True), (None, None, True), ("green", 1, True),
    ]  # fmt: skip


def test_a_deadline_may_come_with_each_call(bundle: Path) -> None:
    grader = Grader.load(bundle, "cpu", policy="exit:1")
    assert (grader.grade(solid("red"), deadline_ms=LATE).exit, grader.grade(solid("red")).late) == (1, None)
    grader = Grader.load(bundle, "cpu")
    assert [grader.grade(solid("red"), deadline_ms=ms).exit for ms in (LATE, NEVER)] == [2, 1]
    assert [grader.grade(solid("red"), deadline_ms=ms).late for ms in (LATE, NEVER)] == [False, True]
    for ms in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="deadline_ms"):
            grader.grade(solid("red"), deadline_ms=ms)


def test_the_earlier_deadline_counts(bundle: Path) -> None:
    grader = load(bundle, LATE, SLOW)
    assert [grader.grade(solid("red"), deadline_ms=ms).exit for ms in (1_000.0, 2 * LATE)] == [1, 2]
    strict = load(bundle, NEVER, FAST)
    assert strict.grade(solid("red"), deadline_ms=LATE).late


def test_the_first_call_with_a_deadline_measures_before_its_clock_starts(slow: Path) -> None:
    grader = Grader.load(slow, "cpu", check=False)
    before = time.perf_counter()
    record = grader.grade(solid("red"), deadline_ms=900.0)
    assert time.perf_counter() - before > 0.9, "the stages were measured for a second"
    assert (record.exit, record.late) == (2, False)
    assert grader.stage_times() is grader.stage_times(), "once is enough"
    assert grader.stage_times().expected(1) > grader.stage_times().expected(0)


def test_loading_with_a_deadline_measures_without_a_profile(slow: Path) -> None:
    policy = Grader.load(slow, "cpu", policy="deadline:20s", check=False).policy
    assert isinstance(policy, Deadline)
    assert 1 < policy.times.expected(1) < 20_000
    assert (str(policy), policy.warning) == ("deadline:20000ms", None)


def test_the_clock_starts_when_an_image_is_handed_in_so_decoding_counts(bundle: Path) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG", compress_level=1)
    alone = Grader.load(bundle, "cpu").grade(buffer.getvalue())
    ms = alone.decode_ms / 4
    assert ms > 4, "the image must take long to decode"
    for record in (
        load(bundle, ms, FAST).grade(buffer.getvalue()),
        *load(bundle, ms, FAST).grade_many([buffer.getvalue()]),
        *load(bundle, ms, FAST).stream([buffer.getvalue()]),
    ):
        assert (record.exit, record.late) == (1, True)


def test_the_time_before_an_image_is_drawn_does_not_count(bundle: Path) -> None:
    def camera() -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        for name in CLASSES:
            time.sleep(0.3)
            yield solid(name)

    for records in (load(bundle, 250.0, FAST).stream(camera()), load(bundle, 250.0, FAST).grade_many(camera())):
        assert [(record.exit, record.late) for record in records] == [(2, False)] * 3


def test_images_are_inferred_one_by_one(bundle: Path) -> None:
    taken: list[str] = []

    def camera() -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        for name in CLASSES:
            taken.append(name)
            yield solid(name)

    grader = load(bundle, LATE, FAST)
    records = grader.grade_many(camera())
    assert next(records).grade == CLASSES[0]
    assert len(taken) == 1
    with pytest.raises(UsageError, match="leave batch_size=8 out"):
        grader.grade_many([solid("red")], batch_size=8)


def test_times_of_another_model_are_refused(bundle: Path) -> None:
    with pytest.raises(UsageError, match="times of 1 stages, the model has 2"):
        Grader.load(bundle, "cpu", policy=Deadline(LATE, StageTimes([FAST])), check=False)


@contextmanager
def busy_thread() -> Iterator[None]:
    """Run pure Python beside, which holds the interpreter's lock as long as it may."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_eight_threads_beside_a_busy_one_lose_no_image_and_few_are_late(slow: Path) -> None:
    grader = Grader.load(slow, "cpu", policy="deadline:2s", check=False)
    names = [CLASSES[number % 3] for number in range(160)]
    with busy_thread(), ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda name: grader.grade(solid(name)), names))
    assert [record.grade for record in records] == names
    assert {record.exit for record in records} <= {1, 2}
    assert sum(record.late is True for record in records) <= 8
    assert all(record.late is not None for record in records)


def test_eight_threads_that_cannot_keep_a_deadline_mark_what_is_late(slow: Path, too_short: float) -> None:
    policy = Deadline(too_short, StageTimes([FAST, FAST]))
    grader = Grader.load(slow, "cpu", policy=policy, check=False)
    names = [CLASSES[number % 3] for number in range(160)]
    with busy_thread(), ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda name: grader.grade(solid(name)), names))
    assert [record.grade for record in records] == names
    assert all(record.late for record in records if record.exit == 2)
    assert sum(record.exit == 2 for record in records) <= 6 + 2 * 8
