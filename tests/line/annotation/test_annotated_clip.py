"""The annotated clip: what it shows can be read back from the file, and nothing that goes wrong stops a line."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from deciding import CLASSES, decide
from numpy.typing import NDArray
from tmpfs import small_disk

from mango_grader.errors import UsageError
from mango_grader.line import AnnotatedClip, Annotator, Axes, Belt, Blob, Box, Camera, Frame, Lane, Sighting

AXES = Axes(
    Camera(320, 240), Belt("right", decision_line=200, entry_line=40, lanes=(Lane(20.0, 120.0), Lane(120.0, 220.0)))
)
GREEN, ORANGE = (0, 158, 115), (230, 159, 0)


def frame(index: int, fps: float = 25.0, shape: tuple[int, ...] = (240, 320, 3)) -> Frame:
    return Frame(index, index / fps, np.full(shape, 90, np.uint8))


def sighting(fruit: int, left: int, top: int) -> Sighting:
    box = Box(left, top, left + 50, top + 40)
    blob = Blob(box, np.ones((40, 50), bool), left + 25.0, top + 20.0, complete=True)
    return Sighting(fruit, 0, 0.0, blob, left + 25.0, top + 20.0)


def has(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    """Return whether a frame holds more than a few pixels of a colour."""
    return int((np.abs(image.astype(int) - colour).max(axis=2) < 30).sum()) > 20


def edge(image: NDArray[np.uint8], box: Box) -> tuple[int, ...]:
    """Return the colour of the lower edge of a box."""
    return tuple(int(part) for part in image[box.bottom - 1, (box.left + box.right) // 2])


def frames_of(path: Path) -> Iterator[NDArray[np.uint8]]:
    clip = cv2.VideoCapture(str(path))
    while True:
        there, image = clip.read()
        if not there:
            break
        yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    clip.release()


def test_a_fruit_is_white_until_it_is_decided_and_keeps_the_colour_of_its_grade() -> None:
    annotator = Annotator(AXES, CLASSES)
    first, second = sighting(1, 60, 40), sighting(2, 60, 140)
    image = annotator.draw(frame(0), [first, second], [])
    assert edge(image, first.blob.box) == edge(image, second.blob.box) == (255, 255, 255)
    image = annotator.draw(frame(1), [first, second], [decide(1, fruit=1, grade="A")])
    assert edge(image, first.blob.box) == GREEN
    assert edge(image, second.blob.box) == (255, 255, 255)
    image = annotator.draw(frame(2), [first, second], [decide(2, fruit=2, grade=None, confidence=None)])
    assert edge(image, first.blob.box) == GREEN
    assert edge(image, second.blob.box) == (130, 130, 130)


def test_lines_and_lanes_lie_where_the_belt_has_them() -> None:
    image = Annotator(AXES, CLASSES).draw(frame(0), [], [])
    assert tuple(image[70, 200]) == (255, 64, 64)
    assert tuple(image[20, 100]) == tuple(image[120, 100]) == tuple(image[70, 40]) == (180, 200, 220)
    turned = Axes(Camera(320, 240), Belt("up", decision_line=100, roi=((5.0, 50.0), (300.0, 50.0), (300.0, 230.0))))
    image = Annotator(turned, CLASSES).draw(frame(0), [], [])
    assert tuple(image[140, 60]) == (255, 64, 64)
    assert tuple(image[50, 150]) == (180, 200, 220)


def test_large_frames_become_smaller_and_their_fruit_with_them() -> None:
    axes = Axes(Camera(1281, 963), Belt("right", decision_line=800))
    image = Annotator(axes, CLASSES, width=320).draw(frame(0, shape=(963, 1281, 3)), [sighting(1, 800, 400)], [])
    assert image.shape == (240, 320, 3)
    assert edge(image, Box(200, 100, 212, 110)) == (255, 255, 255)


def test_frames_as_they_are_stay_untouched() -> None:
    one = frame(0)
    Annotator(AXES, CLASSES).draw(one, [sighting(1, 250, 180)], [decide(1, fruit=1)])
    assert one.image is not None
    assert (one.image == 90).all()


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".avi"])
def test_a_clip_holds_every_frame_with_its_fruit(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "made" / f"belt{ending}"
    with AnnotatedClip(path, Annotator(AXES, CLASSES)) as clip:
        for index in range(30):
            seen = [sighting(1, 20 + 6 * index, 40)]
            clip.see(frame(index, fps=12.5), seen, [decide(1, fruit=1, grade="B")] if index == 15 else [])
        assert not path.exists()
    assert (clip.frames, clip.dropped, clip.error) == (30, 0, "")
    images = [*frames_of(path)]
    assert len(images) == 30
    assert [has(image[60:90], ORANGE) for image in images] == [False] * 15 + [True] * 15
    written = cv2.VideoCapture(str(path))
    assert written.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    written.release()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_one_frame_is_a_clip_and_none_is_no_file(tmp_path: Path) -> None:
    with AnnotatedClip(tmp_path / "one.avi", Annotator(AXES, CLASSES)) as clip:
        clip.see(Frame(0, 0.0, None, error="torn"), [], [])
        clip.see(frame(1), [], [])
    with AnnotatedClip(tmp_path / "none.avi", Annotator(AXES, CLASSES)):
        pass
    assert clip.frames == 1
    assert [each.name for each in tmp_path.iterdir()] == ["one.avi"]


def test_a_camera_does_not_wait_and_no_decision_is_lost(tmp_path: Path) -> None:
    with AnnotatedClip(tmp_path / "belt.webm", Annotator(AXES, CLASSES), wait=False) as clip:
        for index in range(300):
            clip.see(frame(index), [], [decide(index + 1, fruit=index + 1, grade="A")])
    assert clip.dropped > 0
    assert clip.frames + clip.dropped == 300
    assert len([*frames_of(tmp_path / "belt.webm")]) == clip.frames


def test_frames_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    with AnnotatedClip(tmp_path / "belt.avi", Annotator(AXES, CLASSES), fps=10) as clip:
        for index, shape in enumerate([(240, 320, 3), (120, 160, 3), (240, 320, 3)]):
            clip.see(frame(index, shape=shape), [], [])
    assert [image.shape for image in frames_of(tmp_path / "belt.avi")] == [(240, 320, 3)] * 3


@pytest.mark.parametrize("name", ["belt.mov", "belt", "file/belt.mp4"])
def test_a_clip_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="belt") as caught:
        AnnotatedClip(tmp_path / name, Annotator(AXES, CLASSES))
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_at_the_end_and_leaves_no_broken_clip(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    with small_disk(tmp_path / "disk", 256) as disk:
        with AnnotatedClip(disk / "belt.avi", Annotator(AXES, CLASSES)) as clip:
            for index in range(60):
                clip.see(Frame(index, index / 25, noise), [], [])
        assert "frames were written: is the disk full?" in clip.error
        assert not [*disk.iterdir()]
