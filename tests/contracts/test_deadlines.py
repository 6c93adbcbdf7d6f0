"""What every search method must keep to where time runs short: it ends in time, and with a result."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import METHODS, SPACES
from searching import make

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import Evaluator
from mango_grader.automl.methods import Phase, Round
from mango_grader.automl.search import Search
from mango_grader.automl.supernet import Gates
from mango_grader.automl.timetable import StepSeconds, Stopwatch, Timetable
from mango_grader.progress import SilentProgress

SPACE = SPACES["layerwise"]
EXPECTED = StepSeconds(weights=1.0, architecture=1.0, refit=1.0, score=2.0)


class Turned(Stopwatch):
    """A watch that only what is timed moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    @property
    def seconds(self) -> float:
        return self.now

    def resume(self, kept: float) -> None:
        self.now = max(self.now, kept)


def slow(search: Search, watch: Turned, slowness: float) -> None:
    """Let steps and scores of `search` take `slowness` times as long as expected, on `watch`."""
    gates, update, score = search.method.gates, search.method.update, search.evaluator.score

    def slow_gates(rng: np.random.Generator) -> Gates:
        watch.now += slowness * EXPECTED.weights
        return gates(rng)

    def slow_update(step: object) -> object:
        watch.now += slowness * EXPECTED.architecture
        return update(step)  # type: ignore[arg-type]

    class Slow:
        def score(self, architecture: Architecture) -> float:
            watch.now += slowness * EXPECTED.score
            return score(architecture)

    evaluator: Evaluator = Slow()
    search.method.gates, search.method.update = slow_gates, slow_update  # type: ignore[method-assign, assignment]
    search.evaluator = evaluator


def timed(method: str, slowness: float, deadline: float | None, checkpoint: Path | None = None) -> Search:
    """Return a search whose steps take `slowness` times as long as expected."""
    search = make(method, SPACE, checkpoint)
    assert search.training is not None
    watch, schedule = Turned(), search.method.schedule(search.training.batches.per_epoch)
    search.timetable = Timetable(schedule, EXPECTED, METHODS[method].scores, watch, deadline)
    slow(search, watch, slowness)
    return search


@cache
def expected_seconds(method: str) -> float:
    """Return what the whole search takes at the expected pace."""
    search = timed(method, 1.0, None)
    search.run(SilentProgress())
    assert search.timetable is not None
    return search.timetable.watch.seconds


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_search_that_is_slower_than_planned_ends_at_its_deadline(method: str) -> None:
    """On a busy machine a search planned for a minute took five, and nothing was left for the training."""
    planned = expected_seconds(method)
    search = timed(method, 3.0, planned)
    found = search.run(SilentProgress())
    timetable = search.timetable
    assert timetable is not None
    assert search.method.feasible(found)
    longest = 3.0 * max(EXPECTED.of(round_) for round_ in timetable.schedule)
    between = 3.0 * EXPECTED.score * (METHODS[method].scores if method.startswith("tnas") else 1)
    assert timetable.watch.seconds <= planned + longest + between
    assert 1 <= timetable.taken <= len(timetable.schedule)


def test_a_search_that_keeps_its_pace_leaves_nothing_out(method: str) -> None:
    search = timed(method, 1.0, None)
    assert search.timetable is not None
    search.timetable.deadline = 1.01 * max(search.timetable.left(0), expected_seconds(method))
    search.run(SilentProgress())
    assert search.timetable.taken == len(search.timetable.schedule)


def test_a_timetable_without_a_deadline_changes_nothing(method: str) -> None:
    plain = make(method, SPACE)
    expected = plain.run(SilentProgress())
    watched = timed(method, 100.0, None)
    assert watched.run(SilentProgress()) == expected
    assert watched.history == plain.history


def test_a_resumed_search_counts_the_time_before_its_interruption(method: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / "search.safetensors"
    first = timed(method, 1.0, None, checkpoint)
    first.run(SilentProgress())
    assert first.timetable is not None
    again = timed(method, 1.0, 1e-9, checkpoint)  # long over
    assert again.method.feasible(again.run(SilentProgress()))
    assert again.timetable is not None
    assert again.timetable.taken == first.timetable.taken
    assert again.timetable.watch.seconds >= expected_seconds(method) - EXPECTED.score * METHODS[method].scores


PHASES = (*(Round((Phase("weights", 5),)),) * 40, *(Round((Phase("architecture", 10),)),) * 20)


def walk(timetable: Timetable, watch: Turned, slowness: dict[str, float]) -> list[int]:
    """Take the rounds that the timetable allows and return their numbers."""
    taken = []
    for number, round_ in enumerate(timetable.schedule):
        if timetable.allows(number):
            taken.append(number)
            seconds = slowness[round_.phases[0].kind] * EXPECTED.of(round_)
            watch.now += seconds
            timetable.took(number, seconds, 0)
    return taken


@pytest.mark.parametrize("weights", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("architecture", [0.5, 1.0, 4.0])
def test_each_phase_keeps_its_share_of_too_little_time(weights: float, architecture: float) -> None:
    watch = Turned()
    deadline = sum(EXPECTED.of(round_) for round_ in PHASES)
    taken = walk(
        Timetable(PHASES, EXPECTED, 0, watch, deadline), watch, {"weights": weights, "architecture": architecture}
    )
    assert watch.now <= deadline + 10 * max(weights, architecture)
    learned = sum(number < 40 for number in taken)
    assert learned >= 40 / weights * 0.75 or learned == 40
    assert len(taken) - learned >= 1
    if weights == architecture == 1.0:
        assert len(taken) == len(PHASES)


def test_what_is_left_follows_the_pace() -> None:
    watch = Turned()
    timetable = Timetable(PHASES, EXPECTED, 10, watch)
    assert timetable.left(0) == 40 * 5 + 20 * 10 + 10 * 2
    for number in range(10):
        timetable.took(number, 15.0, 0)
    assert timetable.left(10) == pytest.approx(3 * (30 * 5 + 20 * 10 + 10 * 2))
