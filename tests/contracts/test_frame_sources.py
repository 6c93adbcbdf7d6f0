"""What every source keeps. A new source joins with one line of `FINITE` or of `LIVE`."""

from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice, pairwise
from pathlib import Path
from threading import Thread, active_count
from time import monotonic

import numpy as np
import pytest
from footage import FPS, SIZE, footage, number_of, write_images, write_video
from mjpeg import mjpeg_camera

from mango_grader.line import Frame, SimulatedBelt, SimulatorSettings, Source
from mango_grader.line.sources import (
    FrameFolder,
    GivenFrames,
    HotFolder,
    LiveCamera,
    LiveSource,
    SourceCounts,
    Video,
    WithTicks,
    buffered,
)

IMAGES = footage(12)


def numbered(folder: Path) -> Path:
    return write_images(folder / "numbered", IMAGES)


# Each gives the twelve images, 25 a second.
FINITE: Mapping[str, Callable[[Path], Source]] = {
    "a folder with fps": lambda path: FrameFolder(numbered(path), fps=FPS),
    "a folder whose names tell": lambda path: FrameFolder(write_images(path / "b", IMAGES, "{n:06d}_{t:.3f}.png")),
    "a video": lambda path: Video(write_video(path / "c.avi", IMAGES)),
    "arrays": lambda _: GivenFrames(IMAGES, fps=FPS),
    "frames": lambda _: GivenFrames([Frame(n, n / FPS, image) for n, image in enumerate(IMAGES)]),
    "a hot folder that ends": lambda path: HotFolder(numbered(path), fps=FPS, settle=0.02, stop_after=0.05),
    "a buffered video": lambda path: buffered(Video(write_video(path / "c.avi", IMAGES)), size=2),
    "a folder with ticks": lambda path: WithTicks(FrameFolder(numbered(path), fps=FPS), lambda: 7.0),
}


# Finite sources of their own images.
OTHERS: Mapping[str, Callable[[Path], Source]] = {
    "a simulated belt": lambda _: SimulatedBelt(
        SimulatorSettings(fruit=1, width=160, height=120, length_px=40, empty_seconds=0.0)
    ),
}


def live_camera(_: Path) -> Iterator[Source]:
    with mjpeg_camera() as camera:
        yield LiveCamera(camera.url, timeout=1)


def live_folder(path: Path) -> Iterator[Source]:
    yield HotFolder(write_images(path, footage(100), "{n:06d}_{t:.3f}.png"), settle=0.02)


def live_ticks(path: Path) -> Iterator[Source]:
    ticks = count()
    for source in live_camera(path):
        yield WithTicks(source, lambda: next(ticks))


def live_buffer(path: Path) -> Iterator[Source]:
    for source in live_camera(path):
        yield buffered(source)


# Each goes on for ever, and gives images in order.
LIVE: Mapping[str, Callable[[Path], Iterator[Source]]] = {
    "a camera": live_camera,
    "a hot folder": live_folder,
    "a camera with ticks": live_ticks,
    "a buffered camera": live_buffer,
}


@pytest.fixture(params=FINITE)
def twelve(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return FINITE[request.param](tmp_path)


@pytest.fixture(params=[*FINITE, *OTHERS])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return {**FINITE, **OTHERS}[request.param](tmp_path)


@pytest.fixture(params=LIVE)
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    yield from LIVE[request.param](tmp_path)


def told(frame: Frame) -> tuple[object, ...]:
    return frame.index, frame.time, frame.ticks, frame.error, None if frame.image is None else frame.image.tobytes()


def test_it_is_a_source(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.name
    assert source.counts == SourceCounts()
    assert len(source) == (sum(1 for _ in source.frames()) if source.finite else 0)


def test_every_image_is_a_frame_with_its_time(twelve: Source) -> None:
    frames = list(twelve.frames())
    assert [frame.index for frame in frames] == list(range(len(IMAGES)))
    for frame, image in zip(frames, IMAGES, strict=True):
        assert frame.error is None
        assert frame.image is not None
        assert (frame.image.shape, frame.image.dtype) == ((*SIZE, 3), np.uint8)
        np.testing.assert_array_equal(frame.image, image)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(len(IMAGES)) / FPS)
    assert twelve.counts == SourceCounts(delivered=len(IMAGES))


@pytest.mark.parametrize("start", [5, 12])
def test_starting_later_gives_the_same_frames(source: Source, start: int) -> None:
    whole = [told(frame) for frame in source.frames()][start:]
    before = source.counts.delivered
    assert [told(frame) for frame in source.frames(start)] == whole
    assert source.counts == SourceCounts(delivered=before + len(whole))


def test_it_can_be_left_at_any_frame_and_read_again(source: Source) -> None:
    threads = active_count()
    for _ in range(2):
        frames = source.frames()
        first = next(frames)
        assert (first.index, first.time) == (0, 0.0)
        frames.close()  # type: ignore[attr-defined]
    assert active_count() == threads


def test_frames_do_not_share_their_pixels(source: Source) -> None:
    images = [frame.image for frame in source.frames() if frame.image is not None]
    assert not any(np.shares_memory(a, b) for a, b in pairwise(images))


def test_a_live_source_goes_on_in_order_from_the_number_that_it_is_told(live: Source) -> None:
    assert isinstance(live, LiveSource)
    assert (live.finite, len(live)) == (False, 0)
    frames = live.frames(20)
    first = list(islice(frames, 8))
    frames.close()  # type: ignore[attr-defined]
    assert first[0].index == 20
    assert all(a.index < b.index and a.time < b.time for a, b in pairwise(first))
    numbers = [number_of(frame.image) for frame in first]
    assert numbers == sorted(set(numbers))


def test_a_live_source_ends_soon_after_it_is_told_to(live: Source) -> None:
    assert isinstance(live, LiveSource)
    frames = live.frames()
    next(frames)
    Thread(target=live.stop).start()
    begin = monotonic()
    rest = sum(1 for _ in frames)
    assert monotonic() - begin < 5
    assert rest < 100
