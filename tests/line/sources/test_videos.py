"""Videos: times of the container or of --fps, and files that are damaged."""

from pathlib import Path

import numpy as np
import pytest
from footage import footage, number_of, write_video

from mango_grader.errors import UsageError
from mango_grader.line.sources import GivenFrames, SourceCounts, Video, open_source

IMAGES = footage(30)


@pytest.mark.parametrize("fps", [2.0, 30000 / 1001, 120.0])
def test_the_container_tells_the_times(tmp_path: Path, fps: float) -> None:
    frames = list(Video(write_video(tmp_path / "a.mp4", IMAGES, fps, "mp4v")).frames())
    assert [number_of(frame.image) for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30) / fps, atol=0.0011)


def test_fps_overrules_the_container(tmp_path: Path) -> None:
    source = Video(write_video(tmp_path / "a.avi", IMAGES), fps=4)
    assert [frame.time for frame in source.frames(2)] == [n / 4 for n in range(2, 30)]


def test_a_video_that_breaks_off_ends_there_and_says_what_is_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", IMAGES, codec="MJPG")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = Video(path)
    frames = list(source.frames())
    assert 5 < len(frames) < 25
    assert [number_of(frame.image) for frame in frames[:5]] == list(range(5))
    assert source.counts.missing + len(frames) == len(source)


@pytest.mark.parametrize("codec", ["MJPG", "FFV1", "mp4v"])
def test_damaged_frames_stop_nothing_and_times_keep_increasing(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "a.avi", IMAGES, codec=codec)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 3, len(data) * 2 // 3, 300):
        data[place] = rng.integers(256)
    path.write_bytes(bytes(data))
    source = Video(path)
    frames = list(source.frames())
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    assert len(frames) + source.counts.missing >= 30
    assert number_of(frames[0].image) == 0


@pytest.mark.parametrize("content", [None, b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a:b.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"no such file|cannot be read as a video"):
        open_source(str(path))
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_uses_one_buffer_again_gives_different_images() -> None:
    def camera():  # type: ignore[no-untyped-def]
        buffer = np.empty_like(IMAGES[0])
        for image in IMAGES:
            buffer[:] = image
            yield buffer

    frames = list(GivenFrames(camera(), fps=10).frames())
    assert [number_of(frame.image) for frame in frames] == list(range(30))


def test_given_frames_out_of_order_and_repeated_are_counted(tmp_path: Path) -> None:
    given = list(GivenFrames(IMAGES, fps=10).frames())
    source = GivenFrames([given[0], given[2], given[1], given[2], given[3], given[9]])
    assert [frame.index for frame in source.frames()] == [0, 2, 3, 9]
    assert source.counts == SourceCounts(delivered=4, missing=6, out_of_order=1, duplicates=1)
