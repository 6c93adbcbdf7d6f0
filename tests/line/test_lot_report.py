"""The lot report: what a run decided and what went wrong, on a page that needs nothing else."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from drawn_line import FPS, draw, frames_for, grade_of, line_config, write_config, write_frames
from PIL import Image

from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.line import Blob, Box, Frame, FrameFolder, GivenFrames, Line, LineOptions, LogFolder, Sighting
from mango_grader.line.report import LotNotes, read_lot, what_is_wrong, write_report
from mango_grader.line.report.charts import Chart, Series, ticks_up_to
from mango_grader.line.report.figures import wilson
from mango_grader.line.report.notes import FruitImages
from mango_grader.runtime.inference.grader import Grader

FRUIT = 24


def run(log: Path, bundle: Path, source: Any, **options: Any) -> LogFolder:
    folder, config = LogFolder(log), line_config()
    notes = LotNotes(folder, config)
    line = Line(
        source, Grader.load(bundle, "cpu"), config, log=str(log), observers=[notes], options=LineOptions(**options)
    )
    assert list(line) is not None
    notes.close()
    return folder


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("lot") / "belt", FRUIT)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, bundle: Path, belt: Path) -> LogFolder:
    return run(tmp_path_factory.mktemp("log") / "lot.log", bundle, FrameFolder(belt), lot="Field <7>")


def test_every_fruit_is_in_the_figures_once(log: LogFolder) -> None:
    lot = read_lot(log)
    grades = [grade_of(number) for number in range(FRUIT)]
    assert lot.fruit == FRUIT
    assert dict(lot.by_grade) == {grade: grades.count(grade) for grade in set(grades)}
    assert dict(lot.by_outlet) == {
        outlet: grades.count(grade) for grade, outlet in (("green", "left"), ("yellow", "middle"), ("red", "right"))
    }
    assert (lot.frames, lot.ended, lot.broken, lot.unreadable, lot.lost) == (frames_for(FRUIT), True, None, 0, 0)
    assert sum(lot.by_exit.values()) == sum(decision.views for decision in log.decisions())
    assert lot.per_minute == pytest.approx(200 / 52 * 60, rel=0.02)
    assert what_is_wrong(lot) == []


def test_the_page_says_what_the_log_says_and_loads_nothing(log: LogFolder, tmp_path: Path) -> None:
    write_report(log, tmp_path / "lot.html")
    page = (tmp_path / "lot.html").read_text(encoding="utf-8")
    assert "Nothing is wrong." in page
    assert "Field &lt;7&gt;" in page
    assert "<b>24 fruit</b> passed the decision line" in page
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert sources
    assert all(source.startswith(("#", "data:image/jpeg;base64,")) for source in sources)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count('<i style="left') == FRUIT
    before = page
    write_report(log, tmp_path / "lot.html")
    assert (tmp_path / "lot.html").read_text(encoding="utf-8") == before


def test_a_file_of_somebody_else_is_not_replaced(log: LogFolder, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<html>my own", encoding="utf-8")
    with pytest.raises(UsageError, match="mango-grader did not write it"):
        write_report(log, tmp_path / "mine.html")
    with pytest.raises(UsageError, match="is not the log of a line"):
        write_report(LogFolder(tmp_path / "none"), tmp_path / "new.html")


def test_the_slit_scan_shows_each_fruit_at_its_mark(log: LogFolder) -> None:
    lot = read_lot(log)
    with Image.open(Path(log.path, "slit", "000000000.jpg")) as opened:
        slit = np.asarray(opened).astype(int)
    assert slit.shape == (128, 256, 3)
    found = [mark for mark in lot.marks if mark.frame < 256]
    assert len(found) == FRUIT
    for mark in found:
        red, green, blue = slit[round(mark.across / 60 * 128), mark.frame]
        assert max(red, green) - blue > 60, mark
        expected = {"green": green > 2 * red, "red": red > 2 * green, "yellow": min(red, green) > 2 * blue}
        assert expected[str(mark.grade)], mark
    last = frames_for(FRUIT)
    assert slit[:, last + 8 :].max() < 30  # columns without a frame are black


def test_images_of_fruit_are_kept_as_the_model_sees_them(log: LogFolder) -> None:
    kept = sorted(int(path.stem) for path in log.thumbnails.glob("*.jpg"))
    assert len(kept) == FRUIT
    for decision in log.decisions():
        if decision.sequence in kept:
            with Image.open(log.thumbnails / f"{decision.sequence}.jpg") as image:
                red, green, _ = np.asarray(image)[image.height // 2, image.width // 2].astype(int)
            assert {"green": green > 2 * red, "red": red > 2 * green, "yellow": min(red, green) > 150}[decision.grade]  # type: ignore[index]


def test_many_fruit_keep_few_images_the_most_doubtful_among_them(tmp_path: Path, log: LogFolder) -> None:
    images = FruitImages(LogFolder(tmp_path), line_config().crops)
    frame, blob = draw(10, 3), Blob(Box(60, 20, 80, 40), np.ones((20, 20), bool), 70, 30, complete=True)
    one = next(iter(log.decisions()))
    confidences = np.random.default_rng(0).uniform(0.3, 1, 400)
    for n, confidence in enumerate(confidences, 1):
        decision = replace(one, sequence=n, fruit=n, grade="green" if n % 2 else "red", confidence=float(confidence))
        images.see(frame, [Sighting(n, 0, 0.0, blob, 70, 30)], [decision])
    kept = {int(path.stem) for path in (tmp_path / "fruit").glob("*.jpg")}
    assert 24 + 6 < len(kept) <= 24 + 2 * 6
    assert {int(n) + 1 for n in np.argsort(confidences)[:24]} <= kept


@pytest.mark.parametrize("shift", [0, 90])
def test_a_belt_that_changes_its_colour_is_told(bundle: Path, tmp_path: Path, shift: int) -> None:
    count = frames_for(FRUIT)
    light = [np.array([n * shift // count, 0, 0]) for n in range(count)]
    frames = [np.clip(draw(n, FRUIT) + light[n], 0, 255).astype(np.uint8) for n in range(count)]
    lot = read_lot(run(tmp_path / "log", bundle, GivenFrames(frames, fps=FPS)))
    worst = max(drift for _, drift in lot.belt_drift)
    assert worst < 2 if shift == 0 else worst > 10, worst
    assert any("colour of the belt" in line for line in what_is_wrong(lot)) == (shift > 0)


def test_frames_that_are_lost_or_torn_are_told_loudly(bundle: Path, tmp_path: Path) -> None:
    def frames() -> Any:
        for n in range(frames_for(FRUIT)):
            if n == 50:
                yield Frame(n, n / FPS, None, name="50.png", error="torn <off>")
            elif n not in (70, 71):
                yield Frame(n, n / FPS, draw(n, FRUIT))

    log = run(tmp_path / "log", bundle, GivenFrames(frames()))
    lot = write_report(log, tmp_path / "lot.html")
    wrong = what_is_wrong(lot)
    assert [line.split(".")[0] for line in wrong] == ["1 frame could not be read", "2 frames never received"]
    page = (tmp_path / "lot.html").read_text(encoding="utf-8")
    assert "Look at this" in page
    assert "frame 50 (50.png): torn &lt;off&gt;" in page
    assert "Nothing is wrong" not in page


def test_a_log_that_was_changed_or_has_not_ended_is_told_loudly(log: LogFolder, tmp_path: Path) -> None:
    lines = log.chain.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, content, said in (
        ("cut", "".join(lines[:10]), "The run has not ended"),
        ("changed", "".join([*lines[:9], lines[9].replace('"lane"', '"Lane"'), *lines[10:]]), "The log is damaged"),
    ):
        copy = LogFolder(tmp_path / name)
        copy.chain.parent.mkdir()
        copy.chain.write_text(content, encoding="utf-8")
        lot = write_report(copy, tmp_path / f"{name}.html")
        assert what_is_wrong(lot)[0].startswith(said)
        assert said in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


def test_a_run_without_fruit_has_a_report(bundle: Path, tmp_path: Path) -> None:
    log = run(tmp_path / "log", bundle, GivenFrames([draw(0, 0)] * 5, fps=FPS))
    assert what_is_wrong(write_report(log, tmp_path / "lot.html")) == [
        "No fruit passed the decision line. Look at the slit scan, and calibrate again."
    ]


def test_late_fruit_and_latency_are_told(bundle: Path, tmp_path: Path) -> None:
    frames = [draw(index, 3) for index in range(frames_for(3))]
    log = run(tmp_path / "log", bundle, GivenFrames(frames, fps=FPS), realtime=True)
    lot = write_report(log, tmp_path / "lot.html")
    assert len(lot.lags) == lot.fruit == 3
    assert all(lag > 0 for lag in lot.lags)
    assert "99 %" in (tmp_path / "lot.html").read_text(encoding="utf-8")
    assert any("decided too late" in line for line in what_is_wrong(replace(lot, late=2)))


def test_notes_go_on_where_an_interrupted_run_ended(bundle: Path, tmp_path: Path, log: LogFolder) -> None:
    """Frames that are seen again change neither slit scan nor the choice of images."""
    config, folder = line_config(), LogFolder(tmp_path / "log")
    source = GivenFrames([draw(index, FRUIT) for index in range(frames_for(FRUIT))], fps=FPS)
    frames = source.frames()
    first = LotNotes(folder, config)
    for frame, _ in zip(frames, range(100), strict=False):
        first.see(frame, [], [])
    first.close()
    second = LotNotes(folder, config)
    for frame in source.frames(80):
        second.see(frame, [], [])
    second.close()
    with (
        Image.open(Path(folder.path, "slit", "000000000.jpg")) as two,
        Image.open(Path(log.path, "slit", "000000000.jpg")) as one,
    ):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(two)).mean() < 3
    assert len({time for time, _ in read_lot(log).belt}) == len(read_lot(log).belt)


def test_the_command_line_writes_the_report_beside_its_rows(bundle: Path, belt: Path, tmp_path: Path) -> None:
    config, out = write_config(tmp_path / "line.toml"), tmp_path / "fruit.csv"
    words = ["conveyor", "run", str(belt), "--model", str(bundle), "--config", str(config), "--out", str(out)]
    done = CliRunner().invoke(main, [*words, "--progress", "plain"])
    assert done.exit_code == 0, done.output
    assert re.search(r"frames: \d+/\d+, fruit 24, green: \d+, red: \d+, yellow: \d+, late 0, fps", done.output)
    page = tmp_path / "fruit.csv.html"
    assert "Nothing is wrong." in page.read_text(encoding="utf-8")
    again = CliRunner().invoke(main, ["conveyor", "report", f"{out}.log", "--out", str(tmp_path / "again.html")])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 40), (40, 40), (500, 1000)])
def test_bounds_hold_the_share_as_often_as_they_say(count: int, total: int) -> None:
    low, high = wilson(count, total)
    assert 0 <= low <= count / total <= high <= 1
    share = (count + 1) / (total + 2)
    drawn = np.random.default_rng(0).binomial(total, share, 4000)
    inside = [low <= share <= high for low, high in (wilson(int(one), total) for one in drawn)]
    assert 0.9 < np.mean(inside) <= 1


def test_charts_are_drawn_for_hours_and_for_one_bar() -> None:
    for times in ([0.0], [0.0, 3600.0, 7200.0, 36000.0]):
        chart = Chart(times, [Series("A", [1.0] * len(times), "red")], "since <then>", "fruit", step=60.0)
        assert chart.svg().count("<svg") == 2
        assert chart.svg().count("<rect") == 2 * len(times)
        assert "since &lt;then&gt;" in chart.svg()
    assert [len(ticks_up_to(top, 4)) <= 6 for top in (1e-6, 0.3, 7, 99, 1e6)] == [True] * 5


def test_a_run_that_was_stopped_and_resumed_has_one_whole_report(bundle: Path, tmp_path: Path) -> None:
    """Slit scan, belt and fruit images go on; an interruption that lost nothing is told, but is nothing wrong."""
    images, config = [draw(index, 12) for index in range(frames_for(12))], line_config()
    log = LogFolder(tmp_path / "lot.log")
    for _ in range(2):
        notes, grader = LotNotes(log, config), Grader.load(bundle, "cpu")
        options = LineOptions(resume=log.exists())
        source = GivenFrames(images, fps=FPS)
        line = Line(source, grader, config, log=str(log.path), observers=[notes], options=options)
        for decision in line:
            if decision.sequence == 5:
                line.stop()
        notes.close()
    lot = write_report(log, tmp_path / "lot.html")
    assert what_is_wrong(lot) == []
    assert (lot.fruit, len(lot.thumbnails), lot.gaps, len(lot.events)) == (12, 12, 0, 1)
    assert "What else happened" in (tmp_path / "lot.html").read_text(encoding="utf-8")
    with Image.open(Path(log.path, "slit", "000000000.jpg")) as slit:
        assert (np.asarray(slit)[:, : frames_for(12)].mean(axis=(0, 2)) > 80).all()
