"""What SOURCE means, and what is refused."""

from pathlib import Path

import pytest
from footage import footage, write_images, write_video

from mango_grader.errors import UsageError
from mango_grader.line.sources import FrameFolder, SourceOptions, Video, open_source

IMAGES = footage(2)


def test_a_text_means_a_source(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "belt", IMAGES)
    assert isinstance(open_source(str(folder), SourceOptions(fps=5)), FrameFolder)
    assert isinstance(open_source(str(write_video(tmp_path / "a.avi", IMAGES))), Video)


def test_options_that_would_be_ignored_are_refused(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", IMAGES)
    with pytest.raises(UsageError, match="is a video, which has no use for --times"):
        open_source(str(video), SourceOptions(times="times.csv"))
    with pytest.raises(UsageError, match="give one of them"):
        open_source(str(write_images(tmp_path / "belt", IMAGES)), SourceOptions(fps=5, times="times.csv"))
    with pytest.raises(UsageError, match="fps must be above 0"):
        SourceOptions(fps=0)


def test_a_single_image_is_no_source(tmp_path: Path) -> None:
    folder = write_images(tmp_path, IMAGES)
    with pytest.raises(UsageError, match="name the folder"):
        open_source(str(folder / "frame_0000.png"))
