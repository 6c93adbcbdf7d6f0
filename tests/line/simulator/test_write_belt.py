"""A simulated belt on disk: read back as the same frames, continued after an interruption, and never mixed."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mango_grader.errors import UsageError
from mango_grader.line import FrameFolder, LineConfig, Video, read_config
from mango_grader.line.simulator import SimulatedBelt, SimulatorSettings, read_settings
from mango_grader.line.simulator.write import as_video, line_config, write_belt

SMALL = SimulatorSettings(
    fruit=6, seed=3, width=320, height=240, length_px=56, speed=300, empty_seconds=0.4, roll_steps=6, dropped=0.1
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "belt"
    write_belt(path, SMALL, workers=2)
    return path


def test_a_folder_of_frames_is_read_as_the_same_belt(folder: Path) -> None:
    belt = SimulatedBelt(SMALL)
    frames, made = list(FrameFolder(folder).frames()), list(belt.frames())
    assert [(one.index, one.time, one.ticks) for one in frames] == [(one.index, one.time, one.ticks) for one in made]
    for one, other in zip(frames[::9], made[::9], strict=True):
        assert one.image is not None
        assert other.image is not None
        assert np.abs(one.image.astype(int) - other.image).mean() < 4  # what JPEG leaves of the noise
    # Without times.csv, the names tell the same.
    (folder / "times.csv").rename(folder / "away")
    named = FrameFolder(folder)
    (folder / "away").rename(folder / "times.csv")
    assert [(one.index, one.time, one.ticks) for one in named.frames()] == [
        (one.index, one.time, one.ticks) for one in made
    ]


def test_the_truth_and_the_configuration_lie_beside_the_frames(folder: Path) -> None:
    belt = SimulatedBelt(SMALL)
    rows = list(csv.DictReader((folder / "truth.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["grade"] for row in rows] == [one.grade for one in belt.truth]
    assert [float(row["passed_time"]) for row in rows] == pytest.approx([one.passed_time for one in belt.truth])
    config = read_config(folder / "line.toml")
    assert (config.camera, config.belt) == (SMALL.camera, SMALL.belt)
    assert config == line_config(belt)
    finder = config.finder.build(config.axes)
    middle = len(belt) // 2
    image = belt.frame(belt.indices[0]).image
    assert image is not None
    assert finder.find(image) == []
    whole = [one for one in belt.shown(middle) if one.blob.complete]
    shown = belt.frame(middle).image
    assert shown is not None
    found = [blob for blob in finder.find(shown) if blob.complete]
    for one in whole:
        assert min(abs(blob.x - one.blob.x) + abs(blob.y - one.blob.y) for blob in found) < 4


def test_an_interrupted_folder_is_continued_and_nothing_else_is_touched(folder: Path) -> None:
    frames = sorted(folder.glob("*.jpg"))
    before = {path: path.stat().st_mtime_ns for path in frames}
    content = frames[4].read_bytes()
    for path in (frames[4], frames[7], folder / "times.csv", folder / "truth.csv"):
        path.unlink()
    written = write_belt(folder, SMALL)
    assert (written.frames, written.new) == (len(frames), 2)
    assert frames[4].read_bytes() == content
    after = {path: path.stat().st_mtime_ns for path in frames}
    assert {path for path in frames if before[path] != after[path]} == {frames[4], frames[7]}
    assert (folder / "times.csv").is_file()


def test_another_belt_or_other_files_are_never_mixed_with_one(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another belt"):
        write_belt(folder, replace(SMALL, seed=4))
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds no simulated belt"):
        write_belt(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_video_has_its_truth_beside_it(tmp_path: Path) -> None:
    settings = as_video(replace(SMALL, fruit=2))
    written = write_belt(tmp_path / "belt.mp4", settings)
    frames = list(Video(tmp_path / "belt.mp4").frames())
    belt = SimulatedBelt(settings)
    assert written.frames == len(frames) == len(belt)
    assert [one.time for one in frames] == pytest.approx([belt.moment(index)[0] for index in belt.indices], abs=1e-3)
    image, made = frames[len(frames) // 2].image, belt.frame(len(frames) // 2).image
    assert image is not None
    assert made is not None
    assert np.abs(image.astype(int) - made).mean() < 12
    assert read_config(tmp_path / "belt.toml").belt.motion == "estimated"
    assert len((tmp_path / "belt.truth.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"belt.mp4", "belt.toml", "belt.json", "belt.truth.csv"}
    assert write_belt(tmp_path / "belt.mp4", settings).new == 0
    with pytest.raises(UsageError, match="jitter"):
        write_belt(tmp_path / "other.mp4", SMALL)


def test_the_configuration_is_one_that_a_line_takes() -> None:
    config = line_config(SimulatedBelt(replace(SMALL, direction="up", width=240, height=320)))
    assert LineConfig.from_dict(config.to_dict()) == config


def test_settings_come_from_a_preset_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "belt.toml").write_text("fruit = 9\n[[speed_changes]]\nat = 1.0\nseconds = 2.0\nfactor = 0.0\n")
    settings = read_settings("hard", tmp_path / "belt.toml")
    assert (settings.fruit, settings.noise, len(settings.speed_changes)) == (9, 4.0, 1)
    (tmp_path / "belt.toml").write_text("fruits = 9\n")
    with pytest.raises(UsageError, match="no setting is called fruits"):
        read_settings("hard", tmp_path / "belt.toml")
    with pytest.raises(UsageError, match="there are gentle, standard"):
        read_settings("soft")
