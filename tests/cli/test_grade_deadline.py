from pathlib import Path

import pytest
from bundles import CLASSES, solid
from commands import call, read_csv
from PIL import Image


@pytest.fixture
def belt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "belt"
    folder.mkdir()
    for name in CLASSES:
        Image.fromarray(solid(name)).save(folder / f"{name}.png")
    return folder


def test_a_deadline_that_is_met_leaves_every_grade_as_it_is(bundle: Path, belt: Path, tmp_path: Path) -> None:
    done = call("grade", belt, "--model", bundle, "--policy", "deadline:3600s", "--out", tmp_path / "g.csv")
    assert (done.exit_code, "late" in done.stderr, "shorter" in done.stderr) == (0, False, False)
    rows = read_csv(tmp_path / "g.csv")
    assert [(row["grade"], row["exit"], row["late"]) for row in rows] == [
        (name, "2", "false") for name in sorted(CLASSES)
    ]  # fmt: skip


def test_late_images_are_marked_and_counted_and_the_reason_is_told(bundle: Path, belt: Path, tmp_path: Path) -> None:
    command = ("grade", belt, "--model", bundle, "--policy", "deadline:0.001ms")
    done = call(*command, "--out", tmp_path / "g.csv")
    assert done.exit_code == 0
    assert "warning: a deadline of 0.001 ms is shorter than exit 1 takes here" in done.stderr
    assert "late 3" in done.stderr
    assert [(row["exit"], row["late"]) for row in read_csv(tmp_path / "g.csv")] == [("1", "true")] * 3
    table = call(*command).stdout
    assert "late 3" in table
    assert table.rstrip().endswith("; late 100.0%")


def test_a_deadline_without_a_unit_is_one_line(bundle: Path, belt: Path) -> None:
    done = call("grade", belt, "--model", bundle, "--policy", "deadline:25")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "such as 25ms or 0.5s" in done.stderr
