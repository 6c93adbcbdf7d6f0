"""A run is repeated bit for bit from the frames that it kept; whatever differs is named."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from drawn_line import FPS, draw, frames_for, line_config

from mango_grader.errors import FormatError, UsageError
from mango_grader.line import Frame, FrameFolder, GivenFrames, Line, LineOptions, LogFolder, Recording, replay
from mango_grader.line.log import ModelChanged, Worked
from mango_grader.line.log.chain import Chain
from mango_grader.runtime import Grader

FRUIT = 6
OPTIONS = LineOptions(run="r", resume=True, checkpoint_frames=10)


def frames(fruit: int = FRUIT) -> list[Frame]:
    return [Frame(n, 100 + n / FPS + 1e-9, draw(n, fruit), ticks=n / 3) for n in range(frames_for(fruit))]


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Grader:
    return Grader.load(make_bundle(tmp_path_factory.mktemp("model") / "model.mango"), "cpu")


@pytest.fixture
def kept(grader: Grader, tmp_path: Path) -> LogFolder:
    """The log of a run whose frames are in tmp_path/kept; one of them could not be read."""
    given = frames()
    given[20] = replace(given[20], image=None, error="torn")
    source = Recording(GivenFrames(given), tmp_path / "kept")
    list(Line(source, grader, line_config(), log=str(tmp_path / "log"), options=OPTIONS))
    return LogFolder(tmp_path / "log")


def test_a_recording_holds_the_frames_to_the_last_bit(kept: LogFolder, tmp_path: Path) -> None:
    given, read = frames(), list(FrameFolder(tmp_path / "kept").frames())
    assert [(one.index, one.time, one.ticks) for one in read] == [(one.index, one.time, one.ticks) for one in given]
    assert [one.index for one in read if one.image is None] == [20]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(read, given, strict=True) if a.image is not None)
    assert kept.verify().ended


def test_the_same_frames_give_the_same_decisions(kept: LogFolder, tmp_path: Path) -> None:
    tally = replay(kept, str(tmp_path / "kept"))
    assert (tally.fruit, tally.unreadable, tally.frames) == (FRUIT, 1, frames_for(FRUIT))


def test_other_pixels_are_found(kept: LogFolder, tmp_path: Path) -> None:
    path = tmp_path / "kept" / "000000012.png"
    pixels = cv2.imread(str(path))
    assert pixels is not None
    cv2.imwrite(str(path), np.roll(pixels, 1, axis=2))
    with pytest.raises(FormatError, match=r"line 4: decision\.probabilities\[0\] is 0\.\d+ in the log, and now 0\."):
        replay(kept, str(tmp_path / "kept"))


def test_missing_frames_are_found(kept: LogFolder, tmp_path: Path) -> None:
    table = tmp_path / "kept" / "times.csv"
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(rows[:30]), encoding="utf-8")
    for path in sorted((tmp_path / "kept").glob("*.png"))[28:]:
        path.unlink()
    with pytest.raises(FormatError, match=r"line 5: decision\.status is .decided. in the log, and now .incomplete."):
        replay(kept, str(tmp_path / "kept"))


def test_a_decision_that_was_forged_with_all_hashes_is_found(kept: LogFolder, tmp_path: Path) -> None:
    """Whoever makes the whole chain anew deceives `verify`, and not `replay`."""
    rows = [dict(link.values) for link, _ in kept.entries()]
    rows[3]["decision"] = {**rows[3]["decision"], "grade": "red"}
    kept.chain.unlink()
    chain = Chain(kept.chain)
    chain.append(rows)
    chain.close()
    kept.checkpoint_file.unlink()
    assert kept.verify().ended
    with pytest.raises(FormatError, match=r"line 4: decision\.grade is \"red\" in the log, and now \"yellow\""):
        replay(kept, str(tmp_path / "kept"))


def test_a_model_file_takes_the_place_of_a_lost_copy(kept: LogFolder, grader: Grader, tmp_path: Path) -> None:
    shutil.rmtree(kept.model("x").parent)
    with pytest.raises(UsageError, match="is gone; name the file of the model"):
        replay(kept, str(tmp_path / "kept"))
    assert replay(kept, str(tmp_path / "kept"), str(grader.bundle.path)).fruit == FRUIT


def test_exit_policy_and_decision_rule_are_those_of_the_configuration(tmp_path: Path) -> None:
    """Whatever the grader was loaded with, so that a replay, which knows the log alone, answers alike."""
    path = make_bundle(tmp_path / "model.mango", policies={"threshold": (0.4,)})
    found = {}
    for policy in ("full", "threshold"):
        source, log = Recording(GivenFrames(frames()), tmp_path / f"kept {policy}"), LogFolder(tmp_path / policy)
        line = Line(source, Grader.load(path, "cpu", policy="exit:1"), line_config(grading={"policy": policy}),
                    log=str(log.path), options=OPTIONS)  # fmt: skip
        found[policy] = {exit_ for decision in line for exit_ in decision.exits}
        assert log.started.settings["policy"].startswith(policy)
        assert replay(log, str(tmp_path / f"kept {policy}")).fruit == FRUIT
    assert found == {"full": {2}, "threshold": {1}}


def test_a_run_with_deadlines_is_repeated_with_its_schedule(tmp_path: Path) -> None:
    """A slow model and frames that come fast; which views get how many stages depends on the machine."""
    grader = Grader.load(make_bundle(tmp_path / "slow.mango", products=8), "cpu")
    speed = {"direction": "right", "decision_line": 120.0, "motion": "speed", "speed": 800.0}
    given = [replace(one, time=one.time / 4) for one in frames()]
    source = Recording(GivenFrames(given), tmp_path / "kept")
    options = replace(OPTIONS, realtime=True)
    config = line_config(belt=speed, grading={"policy": "full", "deadline_ms": 100.0})
    decisions = list(Line(source, grader, config, log=str(tmp_path / "log"), options=options))
    log = LogFolder(tmp_path / "log")
    works = [entry for _, entry in log.entries() if isinstance(entry, Worked)]
    assert len({sum(len(views) for _, views in rounds) for one in works for rounds in one.work}) > 1
    assert replay(log, str(tmp_path / "kept")).fruit == len(decisions) == FRUIT


def test_a_model_that_was_replaced_is_replaced_at_the_same_frame(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "model.mango")
    new = make_bundle(tmp_path / "new.mango", policies={"threshold": (0.3,)}).read_bytes()

    def given() -> Iterator[Frame]:
        for frame in frames(20):
            if frame.index == 30:
                path.unlink()
                path.write_bytes(new)
            yield frame

    source = Recording(GivenFrames(given()), tmp_path / "kept")
    log = LogFolder(tmp_path / "log")
    list(Line(source, Grader.load(path, "cpu"), line_config(), log=str(log.path), options=OPTIONS))
    assert any(isinstance(entry, ModelChanged) for _, entry in log.entries())
    assert replay(log, str(tmp_path / "kept")).fruit == 20


def test_a_live_run_that_went_on_is_repeated_in_its_parts(grader: Grader, tmp_path: Path) -> None:
    """A camera's clock begins anew, and so do the frames of the belt."""
    log = LogFolder(tmp_path / "log")
    total = 0
    for shift in (0.0, -50.0):
        given = [replace(one, time=one.time + shift) for one in frames()]
        begin = 0 if not total else frames_for(FRUIT)
        moved = [replace(one, index=one.index + begin) for one in given]
        source = Recording(GivenFrames(moved, finite=False), tmp_path / "kept")
        total += len(list(Line(source, grader, line_config(), log=str(log.path), options=OPTIONS)))
    assert log.verify().decisions == total == 2 * FRUIT
    tally = replay(log, str(tmp_path / "kept"))
    assert tally.fruit + tally.incomplete == 2 * FRUIT
    with pytest.raises(UsageError, match="is of a camera"):
        replay(log)


def test_a_recording_that_went_on_has_each_frame_once(grader: Grader, tmp_path: Path) -> None:
    class CutOffError(Exception):
        pass

    def given(end: int) -> Iterator[Frame]:
        yield from frames()[:end]
        raise CutOffError

    for end in (5, 27, 33):
        source = Recording(GivenFrames(given(end)), tmp_path / "kept")
        with pytest.raises(CutOffError):
            list(Line(source, grader, line_config(), log=str(tmp_path / "log"), options=OPTIONS))
        with (tmp_path / "kept" / "times.csv").open("a", encoding="utf-8") as file:
            file.write("0000000")  # What a kill leaves.
    source = Recording(GivenFrames(frames()), tmp_path / "kept")
    list(Line(source, grader, line_config(), log=str(tmp_path / "log"), options=OPTIONS))
    with (tmp_path / "kept" / "times.csv").open(encoding="utf-8", newline="") as file:
        assert [int(row["index"]) for row in csv.DictReader(file)] == list(range(frames_for(FRUIT)))
    assert replay(LogFolder(tmp_path / "log"), str(tmp_path / "kept")).fruit == FRUIT


def test_a_folder_with_other_files_is_no_place_for_a_recording(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds other files"):
        Recording(GivenFrames(frames()), tmp_path)
