"""What every source keeps. A new source joins with one line of `SOURCES`."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from footage import FPS, SIZE, footage, write_images, write_video

from mango_grader.line import Frame, Source
from mango_grader.line.sources import FrameFolder, GivenFrames, SourceCounts, Video

IMAGES = footage(12)

# Each gives the twelve images, 25 a second.
SOURCES: Mapping[str, Callable[[Path], Source]] = {
    "a folder with fps": lambda path: FrameFolder(write_images(path / "a", IMAGES), fps=FPS),
    "a folder whose names tell": lambda path: FrameFolder(write_images(path / "b", IMAGES, "{n:06d}_{t:.3f}.png")),
    "a video": lambda path: Video(write_video(path / "c.avi", IMAGES)),
    "arrays": lambda _: GivenFrames(IMAGES, fps=FPS),
    "frames": lambda _: GivenFrames([Frame(n, n / FPS, image) for n, image in enumerate(IMAGES)]),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return SOURCES[request.param](tmp_path)


def told(frame: Frame) -> tuple[object, ...]:
    return frame.index, frame.time, frame.ticks, frame.error, None if frame.image is None else frame.image.tobytes()


def test_it_is_a_source(source: Source) -> None:
    assert isinstance(source, Source)
    assert source.name
    assert source.counts == SourceCounts()


def test_every_image_is_a_frame_with_its_time(source: Source) -> None:
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(len(IMAGES)))
    for frame, image in zip(frames, IMAGES, strict=True):
        assert frame.error is None
        assert frame.image is not None
        assert (frame.image.shape, frame.image.dtype) == ((*SIZE, 3), np.uint8)
        np.testing.assert_array_equal(frame.image, image)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(len(IMAGES)) / FPS)
    assert source.counts == SourceCounts(delivered=len(IMAGES))


def test_a_finite_source_knows_its_length(source: Source) -> None:
    assert source.finite
    assert len(source) == len(IMAGES)


@pytest.mark.parametrize("start", [1, 7, 11, 12])
def test_starting_later_gives_the_same_frames(source: Source, start: int) -> None:
    whole = [told(frame) for frame in source.frames()][start:]
    before = source.counts.delivered
    assert [told(frame) for frame in source.frames(start)] == whole
    assert source.counts == SourceCounts(delivered=before + len(whole))


def test_it_can_be_left_at_any_frame_and_read_again(source: Source) -> None:
    for _ in range(2):
        frames = source.frames()
        first = next(frames)
        assert (first.index, first.time) == (0, 0.0)
        frames.close()  # type: ignore[attr-defined]


def test_frames_do_not_share_their_pixels(source: Source) -> None:
    images = [frame.image for frame in source.frames() if frame.image is not None]
    assert not any(np.shares_memory(a, b) for a, b in pairwise(images))
