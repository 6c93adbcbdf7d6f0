"""A folder of frames: what tells when they were taken, gaps, and images that cannot be read."""

import re
from pathlib import Path

import pytest
from footage import footage, write_images
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.line.sources import FrameFolder, SourceCounts

IMAGES = footage(4)


def times(source: FrameFolder) -> list[tuple[int, float, float | None]]:
    return [(frame.index, round(frame.time, 6), frame.ticks) for frame in source.frames()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("{n:06d}_{t:.3f}.png", [(0, 0.0, None), (1, 0.04, None), (2, 0.08, None), (3, 0.12, None)]),
        ("{n}_{t:.3f}_-{n}.5.png", [(0, 0.0, -0.5), (1, 0.04, -1.5), (2, 0.08, -2.5), (3, 0.12, -3.5)]),
        ("belt-{n:02d}-t={t:.3f}.jpg", [(0, 0.0, None), (1, 0.04, None), (2, 0.08, None), (3, 0.12, None)]),
        ("t={t:.3f}_ticks={n}0.png", [(0, 0.0, 0), (1, 0.04, 10), (2, 0.08, 20), (3, 0.12, 30)]),
    ],
)
def test_names_tell_times_and_ticks(tmp_path: Path, name: str, expected: list[tuple[int, float, float]]) -> None:
    assert times(FrameFolder(write_images(tmp_path, IMAGES, name))) == expected


def test_frames_come_in_the_order_of_their_times_not_of_their_names(tmp_path: Path) -> None:
    for name in ("9_0.9.png", "10_1.0.png", "b-t=0.95.png"):
        Image.fromarray(IMAGES[0]).save(tmp_path / name)
    assert [frame.name for frame in FrameFolder(tmp_path).frames()] == ["9_0.9.png", "10_1.0.png"]


def test_a_csv_tells_times_ticks_and_indices(tmp_path: Path) -> None:
    write_images(tmp_path, IMAGES[:2])
    text = "name,time,ticks,index\nframe_0000.png,0.5,100,7\nframe_0001.png,0.75,,9\n"
    (tmp_path / "times.csv").write_text(text, encoding="utf-8")
    source = FrameFolder(tmp_path)
    assert times(source) == [(7, 0.5, 100), (9, 0.75, None)]
    assert source.counts == SourceCounts(delivered=2, missing=1)
    (tmp_path / "times.csv").rename(tmp_path / "others.csv")
    assert times(FrameFolder(tmp_path, times=tmp_path / "others.csv")) == [(7, 0.5, 100), (9, 0.75, None)]


def test_exif_tells_times_to_the_hundredth(tmp_path: Path) -> None:
    for n, second in enumerate(["59.98", "00.02"]):
        exif = Image.Exif()
        block = exif.get_ifd(0x8769)
        block[0x9003] = f"2024:03:01 10:{'00' if n == 0 else '01'}:{second[:2]}"
        block[0x9291] = second[3:]
        Image.fromarray(IMAGES[n]).save(tmp_path / f"dsc{n}.jpg", exif=exif)
    (tmp_path / "dsc2.jpg").write_bytes(b"torn")
    frames = list(FrameFolder(tmp_path).frames())
    assert [round(frame.time, 3) for frame in frames] == [0.0, 0.04, 0.04]
    assert [frame.error is None for frame in frames] == [True, True, False]


def test_exif_times_that_repeat_are_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:03:01 10:00:00"
    for n in range(2):
        Image.fromarray(IMAGES[n]).save(tmp_path / f"dsc{n}.jpg", exif=exif)
    with pytest.raises(UsageError, match="too coarse; tell the times with --fps"):
        FrameFolder(tmp_path)


def test_numbers_that_are_not_there_are_frames_that_were_lost(tmp_path: Path) -> None:
    write_images(tmp_path, IMAGES)
    (tmp_path / "frame_0001.png").unlink()
    source = FrameFolder(tmp_path, fps=10)
    assert times(source) == [(0, 0.0, None), (2, 0.2, None), (3, 0.3, None)]
    assert source.counts == SourceCounts(delivered=3, missing=1)


def test_a_start_in_a_gap_counts_what_is_missing_from_there(tmp_path: Path) -> None:
    write_images(tmp_path, footage(8))
    for n in (2, 3, 4, 6):
        (tmp_path / f"frame_{n:04d}.png").unlink()
    source = FrameFolder(tmp_path, fps=10)
    assert [frame.index for frame in source.frames(3)] == [5, 7]
    assert source.counts == SourceCounts(delivered=2, missing=3)


def test_names_without_numbers_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.png", "a.png"):
        Image.fromarray(IMAGES[0]).save(tmp_path / name)
    assert [frame.name for frame in FrameFolder(tmp_path, fps=2).frames()] == ["a.png", "b9.png", "b10.png"]


def test_a_time_that_comes_twice_is_a_duplicate(tmp_path: Path) -> None:
    for name in ("1_0.5.png", "2_0.5.png", "3_0.6.png"):
        Image.fromarray(IMAGES[0]).save(tmp_path / name)
    source = FrameFolder(tmp_path)
    assert times(source) == [(1, 0.5, None), (3, 0.6, None)]
    assert source.counts == SourceCounts(delivered=2, duplicates=1, missing=1)


def test_what_cannot_be_read_is_a_frame_with_its_reason(tmp_path: Path) -> None:
    write_images(tmp_path, IMAGES)
    whole = (tmp_path / "frame_0001.png").read_bytes()
    (tmp_path / "frame_0001.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "frame_0002.png").write_bytes(b"")
    source = FrameFolder(tmp_path, fps=10)
    errors = [frame.error or "" for frame in source.frames()]
    assert [bool(error) for error in errors] == [False, True, True, False]
    assert errors[1].startswith("damaged or incomplete")
    assert errors[2] == "empty file"
    assert source.counts == SourceCounts(delivered=4, unreadable=2)


def test_a_file_that_the_csv_names_and_that_is_gone_is_a_frame_with_its_reason(tmp_path: Path) -> None:
    write_images(tmp_path, IMAGES[:1])
    (tmp_path / "times.csv").write_text("name,time\nframe_0000.png,0\ngone.png,1\n", encoding="utf-8")
    assert [frame.error for frame in FrameFolder(tmp_path).frames()] == [None, "no such file"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,time\nframe_0000.png,0\n", "3 images of .* without a time in .*times.csv: frame_0001.png"),
        ("file,time\n", "must name the columns name and time"),
        ("name,time\nframe_0000.png,x\n", "line 2: expected"),
        ("name,time\nframe_0000.png,nan\n", "line 2: expected"),
        ("name,time\nframe_0000.png,1\nframe_0000.png,2\n", "line 3: expected"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(tmp_path: Path, table: str, said: str) -> None:
    write_images(tmp_path, IMAGES)
    (tmp_path / "times.csv").write_text(table, encoding="utf-8")
    with pytest.raises(UsageError, match=said) as caught:
        FrameFolder(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "no such file or directory"), (tmp_path, "holds no images")):
        with pytest.raises(UsageError, match=re.escape(said)):
            FrameFolder(path, fps=1)
    write_images(tmp_path, IMAGES)
    with pytest.raises(UsageError, match=r"nothing tells when .*give --fps"):
        FrameFolder(tmp_path)
    Image.fromarray(IMAGES[0]).save(tmp_path / "1_0.5.png")
    with pytest.raises(UsageError, match="4 images among others whose names tell their times"):
        FrameFolder(tmp_path)


def test_phone_photos_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(IMAGES[0]).save(tmp_path / "0_0.0.jpg", exif=exif)
    (frame,) = FrameFolder(tmp_path).frames()
    assert frame.image is not None
    assert frame.image.shape == (64, 48, 3)
