"""Training crops: those that the line would look at, with the grade of their fruit, and the same again."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.line import GivenFrames, cut, read_config
from mango_grader.line.crop_set import CropSetOptions, View, Views, write_crops
from mango_grader.line.known_grades import KnownGrades, read_grades
from mango_grader.line.simulator import SimulatedBelt, SimulatorSettings
from mango_grader.line.simulator.write import write_belt
from mango_grader.line.sources import FrameFolder

SMALL = SimulatorSettings(
    fruit=14, seed=8, width=320, height=240, length_px=56, speed=300, empty_seconds=0.4, roll_steps=8, touching=0.3
)


@pytest.fixture(scope="module")
def belt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "belt"
    write_belt(path, SMALL)
    return path


@pytest.fixture(scope="module")
def crops(belt: Path) -> Path:
    folder = belt.parent / "crops"
    config = read_config(belt / "line.toml")
    write_crops(FrameFolder(belt), config, folder, grades=read_grades(belt / "truth.csv"))
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_fruit_has_crops_with_its_grade(crops: Path) -> None:
    table = rows(crops / "labels.csv")
    truth = Counter(one.grade for one in SimulatedBelt(SMALL).truth)
    by_fruit = {row["fruit_id"]: row["label"] for row in table}
    assert Counter(by_fruit.values()) == truth
    views = Counter(row["fruit_id"] for row in table)
    assert max(views.values()) == 6
    assert min(views.values()) >= 3
    assert {row["image_id"] for row in table} == {
        path.relative_to(crops).as_posix() for path in (crops / "images").glob("*.png")
    }
    assert not (crops / "ungraded").exists()


def test_crops_are_cut_as_the_line_cuts_them_and_lie_along_the_belt(belt: Path, crops: Path) -> None:
    config = read_config(belt / "line.toml")
    finder = config.finder.build(config.axes)
    frames = {frame.index: frame for frame in FrameFolder(belt).frames()}
    line = config.belt.decision_line
    by_fruit: dict[str, list[float]] = {}
    for number, row in enumerate(rows(crops / "labels.csv")):
        along = float(row["along"])
        by_fruit.setdefault(row["fruit_id"], []).append(along)
        assert along <= line
        if number % 10 == 0:
            image = frames[int(row["frame"])].image
            assert image is not None
            written = np.asarray(Image.open(crops / row["image_id"]))
            assert any(
                written.shape == (again := cut(image, blob, config.crops)).shape and (written == again).all()
                for blob in finder.find(image)
            )
    for places in by_fruit.values():
        assert places == sorted(places)
        if len(places) == 6:
            assert np.diff(places).max() < 3 * np.diff(places).min() + 20


def test_the_same_command_continues_and_another_is_refused(belt: Path, crops: Path) -> None:
    config, grades = read_config(belt / "line.toml"), read_grades(belt / "truth.csv")
    lost = sorted((crops / "images").glob("*.png"))[5]
    content = lost.read_bytes()
    lost.unlink()
    (crops / "labels.csv").unlink()
    written = write_crops(FrameFolder(belt), config, crops, grades=grades)
    assert written.new == 1
    assert lost.read_bytes() == content
    assert written.crops == len(rows(crops / "labels.csv"))
    with pytest.raises(UsageError, match="other settings"):
        write_crops(FrameFolder(belt), config, crops, options=CropSetOptions(views=2))
    with pytest.raises(UsageError, match="holds no crops"):
        write_crops(FrameFolder(belt), config, belt)


def test_fruit_without_a_grade_lie_in_a_folder_each(belt: Path, tmp_path: Path) -> None:
    from mango_grader.datasets import read_dataset

    config = read_config(belt / "line.toml")
    written = write_crops(FrameFolder(belt), config, tmp_path / "new", options=CropSetOptions(views=2, lot="may"))
    assert written.labels == {"": 14}
    assert written.fruit == 14
    folders = sorted((tmp_path / "new" / "ungraded").iterdir())
    assert [path.name for path in folders] == [f"may-{n:06d}" for n in range(1, 15)]
    # A person sorts the folders, and the set can be read.
    for number, folder in enumerate(folders):
        target = tmp_path / "new" / "AB"[number % 2] / folder.name
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
    (tmp_path / "new" / "ungraded").rmdir()
    dataset = read_dataset(tmp_path / "new", group_by="labels.csv:fruit_id")
    grades = {item.group: dataset.classes[item.label] for item in dataset.items}
    assert len(grades) == 14
    assert (grades["may-000001"], grades["may-000002"]) == ("A", "B")


def test_views_are_whole_and_never_from_one_place() -> None:
    places = [10.0, 11, 12, 50, 90, 91, 130, 170, 171, 210]
    image = np.zeros((2, 2, 3), np.uint8)
    views = Views(4, 5.0, [View(n, place, image) for n, place in enumerate(places)])
    assert [view.along for view in views.chosen()] == [10, 90, 130, 210]
    assert [view.along for view in Views(1, 5.0, views.candidates).chosen()] == [91]
    assert [view.along for view in Views(20, 5.0, views.candidates).chosen()] == places


def test_a_standing_belt_gives_each_view_once(belt: Path, tmp_path: Path) -> None:
    config = read_config(belt / "line.toml")
    still = [frame.image for frame in FrameFolder(belt).frames()][20:24]
    frames = [image for image in still for _ in range(12)]
    config = replace(config, belt=replace(config.belt, motion="estimated"))
    written = write_crops(GivenFrames(frames, fps=20), config, tmp_path / "still", options=CropSetOptions(views=50))
    assert written.crops <= 4 * max(1, written.fruit)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fruit_id,note\n1,x\n", "no column label or grade"),
        ("image,label\n1,A\n", "lane and passed_time"),
        ("lane,passed_time,label\none,2.0,A\n", "must be numbers"),
    ],
)
def test_a_table_without_grades_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "grades.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_grades(tmp_path / "grades.csv")


def test_grades_are_joined_by_name_or_by_lane_and_moment(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("fruit_id,label\n000001,A\n000002,\n", encoding="utf-8")
    assert read_grades(tmp_path / "names.csv") == KnownGrades(by_name={"000001": "A"})
    (tmp_path / "frames.csv").write_text("lane,decided_frame,grade\n1,40,B\n1,20,A\n2,30,C\n1,,B\n", encoding="utf-8")
    grades = read_grades(tmp_path / "frames.csv")
    assert grades.by_frame
    assert [grades.at(1, moment) for moment in (19, 24, 26, 38)] == ["A", "A", "", "B"]
    assert grades.at(3, 20) == ""
