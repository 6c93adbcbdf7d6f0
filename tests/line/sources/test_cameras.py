"""Cameras that hang, end, tear frames, go away and come back: real sockets, and nothing printed."""

from contextlib import closing
from itertools import islice
from time import monotonic
from typing import Any

import pytest
from footage import number_of
from mjpeg import mjpeg_camera
from rtsp import rtsp_camera

from mango_grader.errors import UsageError
from mango_grader.line import Frame
from mango_grader.line.sources import LiveCamera, SourceOptions, buffered, open_source


def images(frames: list[Frame]) -> list[int]:
    return [number_of(frame.image) for frame in frames if frame.image is not None]


def test_passwords_are_never_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with mjpeg_camera() as camera:
        source = LiveCamera(camera.url, timeout=1)
        address = camera.url.partition("@")[2].partition("?")[0]
        assert source.name == f"http://{address}"
    with pytest.raises(UsageError, match=f"^http://{address} cannot be opened; is the camera on") as caught:
        next(source.frames())
    with pytest.raises(UsageError, match=r"^http://[^@]* is a camera, which has no use for --fps"):
        open_source(camera.url, SourceOptions(fps=30))
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [mjpeg_camera, rtsp_camera])
def test_a_camera_that_went_away_and_came_back_is_read_again(kind: Any) -> None:
    with kind() as camera, closing(buffered(LiveCamera(camera.url, timeout=1), 200).frames()) as frames:
        before = list(islice(frames, 5))
        camera.stop()
        lost = next(frame for frame in frames if frame.error is not None)
        camera.start()
        after = list(islice(frames, 5))
    assert [frame.index for frame in before] == [0, 1, 2, 3, 4]
    assert lost.image is None
    assert lost.error == "the camera gave no frame; connecting again"
    assert [frame.index for frame in after] == [lost.index + n for n in range(1, 6)]
    assert after[0].time > lost.time > before[-1].time
    assert images(after) == [0, 1, 2, 3, 4]


def test_every_loss_is_counted() -> None:
    with mjpeg_camera(length=4) as camera:
        source = LiveCamera(camera.url, timeout=1)
        with closing(source.frames()) as frames:
            got = list(islice(frames, 12))
    assert [frame.error is None for frame in got].count(False) == 2
    assert (source.counts.reconnects, source.counts.unreadable, source.counts.delivered) == (2, 2, 12)


def test_a_camera_that_hangs_is_lost_after_the_timeout() -> None:
    with mjpeg_camera() as camera, closing(LiveCamera(camera.url, timeout=0.5).frames()) as frames:
        next(frames)
        camera.hangs.set()
        begin = monotonic()
        lost = next(frame for frame in frames if frame.error is not None)
        assert 0.3 < monotonic() - begin < 5
        camera.hangs.clear()
        assert next(frames).index == lost.index + 1


def test_a_camera_that_sends_torn_frames_goes_on() -> None:
    with mjpeg_camera() as camera, closing(LiveCamera(camera.url, timeout=1).frames()) as frames:
        camera.tears.set()
        got = list(islice(frames, 12))
    whole = [number_of(frame.image) for frame in got if frame.image is not None and frame.image[40:].std() > 5]
    assert len(whole) >= 6
    assert whole == sorted(whole)


def test_a_camera_that_stays_away_ends_after_the_time_that_is_asked_for() -> None:
    with mjpeg_camera(length=3) as camera:
        source = LiveCamera(camera.url, timeout=1, stop_after=1.0)
        begin = monotonic()
        with closing(source.frames()) as frames:
            assert images(list(islice(frames, 3))) == [0, 1, 2]
            camera.stop()
            assert all(frame.error is not None for frame in frames)
    assert 0.9 < monotonic() - begin < 5


def test_a_slow_line_drops_the_oldest_frames_and_counts_them() -> None:
    with mjpeg_camera(fps=120) as camera:
        source = buffered(LiveCamera(camera.url, timeout=1), size=4)
        with closing(source.frames()) as frames:
            first = next(frames)
            wait_until(lambda: source.counts.dropped >= 20)
            later = list(islice(frames, 4))
    assert later[0].index > first.index + 15
    gaps = later[0].index - first.index - 1
    assert gaps <= source.counts.dropped
    assert source.counts.missing == 0


def wait_until(reached) -> None:  # type: ignore[no-untyped-def]
    end = monotonic() + 10
    while not reached():
        assert monotonic() < end


def test_a_camera_that_this_machine_does_not_have_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"^camera:97 cannot be opened"):
        open_source("camera:97")
    with pytest.raises(UsageError, match=r"^camera:97 cannot be opened"):
        next(LiveCamera(97).frames())
    with pytest.raises(UsageError, match="is written camera:0, not camera:front"):
        open_source("camera:front")
    assert capfd.readouterr() == ("", "")
