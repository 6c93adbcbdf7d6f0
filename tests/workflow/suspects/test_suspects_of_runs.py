"""Answers of finished runs as judges of labels: only those that are out of fold."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from run.test_changed_data import train
from tiny import write_fruit

from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.progress import SilentProgress
from mango_grader.workflow.suspects.runs import answers_of_runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("judged")
    write_fruit(home / "data")
    done = train(home / "data", home / "run", epochs=2)
    assert done.exit_code in (0, 3), done.output
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "home")


def answers(home: Path, groups: list[str] | None = None) -> tuple[list[str], list[list[float]], tuple[str, ...]]:
    data = read_dataset(home / "data")
    found = answers_of_runs([str(home / "run")], data, groups or data.paths, SilentProgress())
    return [data.paths[item] for item in found.items], found.probabilities.tolist(), found.notes


def test_a_run_judges_its_test_images_alone(home: Path) -> None:
    rows = [json.loads(line) for line in (home / "run" / "predictions.jsonl").read_text().splitlines()]
    last = {row["path"]: row["probabilities"][-1] for row in rows}
    paths, probabilities, notes = answers(home)
    assert sorted(paths) == sorted(read_json(home / "run" / "split.json")["test"])
    np.testing.assert_allclose(probabilities, [last[path] for path in paths])
    assert any(f"test images are {len(paths)} of 45" in note for note in notes)


def test_an_image_whose_fruit_was_learned_under_another_name_is_not_out_of_fold(home: Path) -> None:
    split = read_json(home / "run" / "split.json")
    twin, other = split["test"][0], split["train"][0]
    groups = ["one fruit" if path in (twin, other) else path for path in read_dataset(home / "data").paths]
    paths, _, notes = answers(home, groups)
    assert twin not in paths
    assert len(paths) == len(split["test"]) - 1
    assert any("1 answer of the runs did not count" in note for note in notes)


def test_a_run_whose_every_test_image_was_learned_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="no answer is out of fold"):
        answers(home, ["one fruit"] * 45)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("start", "which may have seen its test images"),
        ("unfinished", "is not finished; continue it first"),
        ("pixels", "was tested on another image"),
        ("other data", "these are other data"),
        ("classes", "has the classes green, red, yellow, the data have blue, green, yellow"),
    ],
)
def test_runs_that_cannot_judge_are_refused_in_one_line(change: str, says: str, home: Path) -> None:
    tested = home / "data" / read_json(home / "run" / "split.json")["test"][0]
    if change == "start":
        config = read_json(home / "run" / "config.json")
        write_json(home / "run" / "config.json", {**config, "init_from": str(home / "earlier")})
    elif change == "unfinished":
        (home / "run" / "report.html").unlink()
    elif change == "pixels":
        source = next(path for path in sorted((home / "data").rglob("*.png")) if path != tested)
        shutil.copyfile(source, tested)
    elif change == "other data":
        tested.unlink()
    else:
        (home / "data" / "red").rename(home / "data" / "blue")
    with pytest.raises(UsageError) as caught:
        answers(home)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
