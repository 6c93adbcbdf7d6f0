"""The queue between a source and the line: bounded, closed cleanly, with the source's errors carried over."""

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from time import monotonic

import numpy as np
import pytest
from footage import footage, number_of

from mango_grader.errors import UsageError
from mango_grader.line import Frame
from mango_grader.line.sources import GivenFrames, SourceCounts, buffered

IMAGES = footage(40)


def until(reached: threading.Event) -> None:
    assert reached.wait(10)


def test_a_full_queue_lets_a_finite_source_wait() -> None:
    read: list[int] = []

    def given() -> Iterator[Frame]:
        for n, image in enumerate(IMAGES):
            read.append(n)
            yield Frame(n, n / 10, image)

    source = buffered(GivenFrames(given()), size=3)
    with closing(source.frames()) as frames:
        for n, frame in enumerate(frames):
            assert frame.index == n
            assert len(read) <= n + 5  # the frame in hand, three that wait, and the next one
            assert source.waiting <= 3
    assert source.counts == SourceCounts(delivered=40)


def test_a_full_queue_drops_the_oldest_frames_of_a_live_source_and_counts_them() -> None:
    done, asked = threading.Event(), threading.Event()

    def given() -> Iterator[Frame]:
        yield Frame(0, 0.0, IMAGES[0])
        until(asked)
        for n in range(1, 40):
            yield Frame(n, n / 10, IMAGES[n])
        done.set()

    source = buffered(GivenFrames(given(), finite=False), size=4)
    with closing(source.frames()) as frames:
        assert next(frames).index == 0
        asked.set()
        until(done)
        rest = list(frames)
    assert [frame.index for frame in rest] == [36, 37, 38, 39]
    assert [number_of(frame.image) for frame in rest] == [36, 37, 38, 39]
    assert source.counts == SourceCounts(delivered=5, dropped=35)


@pytest.mark.parametrize(("when_full", "kept"), [("block", 40), ("drop-oldest", 3)])
def test_what_happens_when_it_is_full_can_be_chosen(when_full: str, kept: int) -> None:
    done = threading.Event()

    def given() -> Iterator[Frame]:
        for n, image in enumerate(IMAGES):
            yield Frame(n, n / 10, image)
        done.set()

    source = buffered(GivenFrames(given()), size=3, when_full=when_full)  # type: ignore[arg-type]
    with closing(source.frames()) as frames:
        first = next(frames)
        if when_full == "drop-oldest":
            until(done)
        assert 1 + sum(1 for _ in frames) in (kept, kept + 1)
    assert first.index == 0 or when_full == "drop-oldest"


def test_the_error_of_a_source_comes_after_the_frames_before_it() -> None:
    def given() -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        yield from IMAGES[:5]
        raise UsageError("the camera's driver is gone")

    got = []

    def read() -> None:
        for frame in buffered(GivenFrames(given(), fps=10), size=2).frames():
            got.append(frame.index)  # noqa: PERF401

    with pytest.raises(UsageError, match="driver is gone"):
        read()
    assert got == [0, 1, 2, 3, 4]


def test_leaving_it_closes_the_source_in_its_own_thread() -> None:
    closed: list[str] = []

    class Watched(GivenFrames):
        def frames(self, start: int = 0) -> Iterator[Frame]:
            try:
                yield from super().frames(start)
            finally:
                closed.append(threading.current_thread().name)

    threads = threading.active_count()
    with closing(buffered(Watched(IMAGES, fps=10), size=2).frames()) as frames:
        assert len(list(islice(frames, 3))) == 3
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
    assert closed == ["frames of Python"]


def test_a_source_that_hangs_does_not_hang_who_leaves_it() -> None:
    released = threading.Event()

    def given() -> Iterator[Frame]:
        yield Frame(0, 0.0, IMAGES[0])
        released.wait(20)

    begin = monotonic()
    with closing(buffered(GivenFrames(given(), finite=False)).frames()) as frames:
        next(frames)
    assert monotonic() - begin < 5
    released.set()


def test_a_queue_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 frame, not 0"):
        buffered(GivenFrames(IMAGES, fps=1), size=0)
