"""Runs on reviewed labels: their labels, their split, what they say, and how they go on."""

import csv
from pathlib import Path

import pytest
from distillation.teachers import write_architecture
from test_changed_data import call
from tiny import write_fruit

from mango_grader.datasets.reading.reviews import Decision, Review
from mango_grader.files import read_json
from mango_grader.progress import LineProgress, SilentProgress
from mango_grader.workflow.config import DataConfig
from mango_grader.workflow.run.data import prepare
from mango_grader.workflow.run.folder import RunFolder

CHANGED = tuple(f"green/{number:03d}.png" for number in range(6))
GONE = ("yellow/003.png", "yellow/004.png", "yellow/005.png")


def write_review(path: Path) -> Path:
    changed = [Decision(each, "green", "red") for each in CHANGED]
    Review("", (*changed, *(Decision(each, "yellow", "unusable") for each in GONE))).write(path)
    return path


def train(home: Path, *options: str | Path) -> list[str | Path]:
    student = write_architecture(home / "architecture.json")
    settings = ("--set", "train.epochs=2", "--set", "train.batch_size=8", "--device", "cpu", "--progress", "none")
    return ["train", "--architecture", student, "--data", home / "data", *settings, *options]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fruit in `data`, and a finished run on reviewed labels in `run`; not to be written to."""
    home = tmp_path_factory.mktemp("reviewed")
    write_fruit(home / "data")
    done = call(*train(home, "--labels", write_review(home / "reviewed.csv"), "--out", home / "run"))
    assert done.exit_code in (0, 3), done.output
    return home


def test_a_run_learns_and_is_tested_by_reviewed_labels(home: Path) -> None:
    recorded = read_json(home / "run" / "data.json")
    assert {recorded["images"][each]["class"] for each in CHANGED} == {"red"}
    assert not set(GONE) & set(recorded["images"])
    assert recorded["reviewed"] == {
        "changed": dict.fromkeys(CHANGED, "green"),
        "left_out": dict.fromkeys(GONE, "yellow"),
    }
    assert read_json(home / "run" / "config.json")["data"]["labels"] == str(home / "reviewed.csv")
    assert (home / "run" / "reviewed.csv").read_bytes() == (home / "reviewed.csv").read_bytes()


def test_the_report_says_how_many_labels_of_which_part_were_changed(home: Path) -> None:
    parts = read_json(home / "run" / "split.json")
    changed, left_out = (
        [sum(path in paths for path in parts[part]) for part in parts if part in ("train", "val", "test")]
        for paths in (CHANGED, GONE)
    )
    assert (sum(changed), sum(left_out)) == (len(CHANGED), len(GONE))
    said = "{} train, {} val, {} test".format
    page = (home / "run" / "report.html").read_text(encoding="utf-8")
    assert f"Labels were corrected by a review: {said(*changed)} images" in page
    assert f"{said(*left_out)} images were left out as unusable" in page


def test_a_review_moves_no_image_to_another_part(home: Path, tmp_path: Path) -> None:
    config = DataConfig(str(home / "data"), height=24, width=24)
    prepare(config, RunFolder(tmp_path / "run"), SilentProgress())
    assert read_json(tmp_path / "run" / "split.json") == read_json(home / "run" / "split.json")


def test_a_resumed_run_goes_on_with_the_review_that_it_began_with(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review, folder = write_review(tmp_path / "reviewed.csv"), RunFolder(tmp_path / "run")
    config = DataConfig(str(home / "data"), height=24, width=24, labels=str(review))
    begun = prepare(config, folder, SilentProgress())
    review.unlink()
    resumed = prepare(config, folder, LineProgress())
    assert resumed.dataset == begun.dataset
    assert [resumed.dataset.items[place] for place in resumed.split.test] == [
        begun.dataset.items[place] for place in begun.split.test
    ]
    assert f"the reviewed labels are those that the run began with, in {folder.reviewed}" in capsys.readouterr().err


def test_a_finished_run_finds_its_data_unchanged(home: Path) -> None:
    done = call("train", "--resume", "--out", home / "run")
    assert done.exit_code in (0, 3), done.output
    assert "changed since the run" not in done.stderr


def test_evaluate_counts_by_reviewed_labels_on_the_run_s_own_test_images(home: Path, tmp_path: Path) -> None:
    split = ("--split", home / "run" / "split.json", "--model", home / "run", "--data", home / "data")
    out = tmp_path / "predictions.csv"
    done = call("evaluate", *split, "--labels", home / "run" / "reviewed.csv", "--predictions", out, "--bootstrap", "0")
    assert done.exit_code == 0, done.output
    with out.open(encoding="utf-8") as file:
        found = {row["path"]: row["label"] for row in csv.DictReader(file)}
    tested = set(read_json(home / "run" / "split.json")["test"])
    assert set(found) == tested - set(GONE)
    assert {found[path] for path in set(CHANGED) & tested} <= {"red"}
    assert (set(CHANGED) | set(GONE)) & tested, "or this shows nothing"
    assert "reviewed labels: 6 labels changed, 3 images left out as unusable" in done.stderr


def test_reviewed_labels_of_other_data_are_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    Review("", (Decision("green/999.png", "green", "red"),)).write(tmp_path / "reviewed.csv")
    done = call(*train(home, "--labels", tmp_path / "reviewed.csv", "--out", tmp_path / "run"))
    assert done.exit_code == 2
    assert "reviewed.csv names 1 image that the data lack: green/999.png" in done.stderr


def test_a_review_that_empties_a_class_is_refused(home: Path, tmp_path: Path) -> None:
    every = tuple(Decision(f"green/{number:03d}.png", "green", "red") for number in range(15))
    Review("", every).write(tmp_path / "reviewed.csv")
    done = call(*train(home, "--labels", tmp_path / "reviewed.csv", "--out", tmp_path / "run"))
    assert done.exit_code == 2
    assert "the reviewed labels leave no training image of class green" in done.stderr
