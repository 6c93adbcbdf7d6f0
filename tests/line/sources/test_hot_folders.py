"""Hot folders: images that are written, torn, removed and renamed while the line reads."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
from click.testing import CliRunner
from drawn_line import write_config, write_frames
from footage import footage, number_of, write_images
from PIL import Image

from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.line import Frame
from mango_grader.line.sources import FrameFolder, HotFolder, SourceCounts, SourceOptions, buffered, open_source

IMAGES = footage(60)


@pytest.fixture
def belt(tmp_path: Path) -> Path:
    (tmp_path / "belt").mkdir()
    return tmp_path / "belt"


def write(folder: Path, *numbers: int, name: str = "frame_{n:04d}.png") -> None:
    for n in numbers:
        Image.fromarray(IMAGES[n]).save(folder / name.format(n=n, t=n / 10))


def numbers(frames: list[Frame]) -> list[int]:
    return [number_of(frame.image) for frame in frames]


def later(folder: Path, *steps: int, every: float = 0.03, name: str = "frame_{n:04d}.png") -> Thread:
    def work() -> None:
        for n in steps:
            write(folder, n, name=name)
            sleep(every)

    thread = Thread(target=work)
    thread.start()
    return thread


def test_images_that_come_are_frames_once_and_in_order(belt: Path) -> None:
    write(belt, 0, 1, 2)
    source = HotFolder(belt, fps=10, settle=0.05)
    thread = later(belt, *range(3, 20))
    with closing(source.frames()) as frames:
        got = list(islice(frames, 20))
    thread.join()
    assert numbers(got) == [frame.index for frame in got] == list(range(20))
    assert [frame.time for frame in got] == [n / 10 for n in range(20)]
    assert source.counts == SourceCounts(delivered=20)


def test_images_of_120_a_second_all_come(belt: Path) -> None:
    thread = later(belt, *range(60), every=1 / 120)
    with closing(HotFolder(belt, fps=120, settle=0.05).frames()) as frames:
        assert numbers(list(islice(frames, 60))) == list(range(60))
    thread.join()


def test_a_half_written_file_waits_and_so_do_the_files_after_it(belt: Path) -> None:
    write(belt, 0, 1, 2)
    path = belt / "frame_0001.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:500])
    source = HotFolder(belt, fps=10, settle=0.1)

    def finish() -> None:
        with path.open("ab") as file:
            for start in range(500, len(whole), len(whole) // 4):
                sleep(0.15)
                file.write(whole[start : start + len(whole) // 4])
                file.flush()

    thread = Thread(target=finish)
    thread.start()
    with closing(source.frames()) as frames:
        got = list(islice(frames, 3))
    thread.join()
    assert numbers(got) == [0, 1, 2]
    assert source.counts == SourceCounts(delivered=3)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n torn"])
def test_a_file_that_stays_torn_is_a_frame_with_its_reason(belt: Path, content: bytes) -> None:
    write(belt, 0, 2)
    (belt / "frame_0001.png").write_bytes(content)
    source = HotFolder(belt, fps=10, settle=0.02)
    with closing(source.frames()) as frames:
        got = list(islice(frames, 3))
    assert [frame.error is None for frame in got] == [True, False, True]
    assert (source.counts.unreadable, source.counts.missing) == (1, 0)


def test_files_may_be_removed_and_renamed_at_any_time(belt: Path) -> None:
    source = HotFolder(belt, fps=10, settle=0.03)

    def work() -> None:
        for n in range(20):
            Image.fromarray(IMAGES[n]).save(belt / "new.part", "PNG")
            (belt / "new.part").rename(belt / f"frame_{n:04d}.png")
            write(belt, 59, name="passing{n}.png")
            (belt / "passing59.png").unlink()
            sleep(0.02)

    thread = Thread(target=work)
    thread.start()
    got = []
    with closing(source.frames()) as frames:
        for frame in islice(frames, 20):
            got.append(frame)
            (belt / frame.name).unlink()
    thread.join()
    assert numbers(got) == list(range(20))


def test_a_share_that_was_away_is_read_again_without_events(belt: Path) -> None:
    with closing(HotFolder(belt, fps=10, settle=0.02).frames()) as frames:
        write(belt, 0)
        assert next(frames).index == 0
        shutil.rmtree(belt)
        thread = Thread(target=lambda: (sleep(0.2), belt.mkdir(), write(belt, 1, 2)))
        thread.start()
        assert [frame.index for frame in islice(frames, 2)] == [1, 2]
        thread.join()


def test_it_ends_at_the_stop_file_after_what_has_come_before_it(belt: Path, tmp_path: Path) -> None:
    write(belt, *range(8))
    (tmp_path / "stop").touch()
    source = open_source(f"hot:{belt}", SourceOptions(fps=10, stop_file=str(tmp_path / "stop"), settle=0.05))
    assert numbers(list(source.frames())) == list(range(8))


def test_it_ends_when_nothing_comes_for_long_enough(belt: Path) -> None:
    begin = monotonic()
    assert list(open_source(str(belt), SourceOptions(hot=True, stop_after=0.3)).frames()) == []
    assert 0.3 <= monotonic() - begin < 3


def test_without_times_frames_have_the_time_of_their_arrival_and_old_files_are_left_out(belt: Path) -> None:
    write(belt, 0, 1, name="shot{n}.png")
    source = HotFolder(belt, settle=0.02)
    begin = monotonic()

    def work() -> None:
        sleep(0.2)
        for n in (7, 8, 9):
            write(belt, n, name="shot{n}.png")
            sleep(0.1)

    thread = Thread(target=work)
    thread.start()
    with closing(source.frames(5)) as frames:
        got = list(islice(frames, 3))
    thread.join()
    assert numbers(got) == [7, 8, 9]
    assert [frame.index for frame in got] == [5, 6, 7]
    assert begin + 0.2 <= got[0].time < got[1].time < got[2].time <= monotonic()
    assert got[1].time - got[0].time > 0.05


def test_a_file_that_comes_after_a_later_one_is_counted_and_left_out(belt: Path) -> None:
    name = "{n:06d}_{t:.3f}.png"
    write(belt, 0, 2, name=name)
    source = HotFolder(belt, settle=0.02, stop_after=0.3)

    def frames() -> Iterator[Frame]:
        for frame in source.frames():
            yield frame
            if frame.index == 2:
                write(belt, 1, 3, name=name)

    assert [frame.index for frame in frames()] == [0, 2, 3]
    assert source.counts == SourceCounts(delivered=3, missing=1, out_of_order=1)


def test_it_gives_what_a_folder_gives(belt: Path) -> None:
    write(belt, 3, 4, 6, 9)
    folder = [(frame.index, frame.time, number_of(frame.image)) for frame in FrameFolder(belt, fps=7).frames()]
    hot = HotFolder(belt, fps=7, settle=0.02, stop_after=0.05)
    assert [(frame.index, frame.time, number_of(frame.image)) for frame in hot.frames()] == folder
    assert hot.counts == SourceCounts(delivered=4, missing=3)
    assert [frame.index for frame in hot.frames(5)] == [6, 9]


def test_a_slow_line_loses_nothing_for_files_wait_on_disk(belt: Path) -> None:
    write(belt, *range(30))
    source = buffered(HotFolder(belt, fps=10, settle=0.02, stop_after=0.1), size=2)
    with closing(source.frames()) as frames:
        first = next(frames)
        sleep(0.3)
        assert numbers([first, *frames]) == list(range(30))
    assert source.counts == SourceCounts(delivered=30)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for text, options in ((f"hot:{tmp_path}/none", SourceOptions()), (f"{tmp_path}/none", SourceOptions(hot=True))):
        with pytest.raises(UsageError, match="no such folder"):
            open_source(text, options)


def test_images_written_by_another_name_are_no_frames(belt: Path) -> None:
    write_images(belt, IMAGES[:2])
    for name in (".frame_0002.png", "times.csv", "Thumbs.db"):
        (belt / name).write_bytes(b"x")
    source = HotFolder(belt, fps=10, settle=0.02, stop_after=0.05)
    assert len(list(source.frames())) == 2


def test_the_command_line_ends_a_hot_folder_with_the_rows_of_a_folder(tmp_path: Path, bundle: Path) -> None:
    frames, config = write_frames(tmp_path / "belt", 3), write_config(tmp_path / "line.toml")
    rows = {}
    for name, source in (("folder", [str(frames)]), ("hot", [f"hot:{frames}", "--stop-after", "0.3"])):
        out = tmp_path / f"{name}.csv"
        words = ["--model", str(bundle), "--config", str(config), "--out", str(out), "--run", "r"]
        done = CliRunner().invoke(main, ["conveyor", "run", *source, *words, "--progress", "plain"])
        assert done.exit_code == 0, done.output
        rows[name] = out.read_text(encoding="utf-8").splitlines()
    assert rows["hot"] == rows["folder"]
    assert len(rows["hot"]) == 4
    assert "frames: 1, fruit 0," in done.output  # without a total, for nobody knows it
