import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from commands import call
from fruit_scenes import write_spotted
from photos import write_folders

from mango_grader.cli import main


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", "inspect", *map(str, arguments), "--progress", "none"])


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "clean", {"A": 12, "B": 8})


def test_text_summary(clean: Path) -> None:
    result = run(clean, "--strict")
    assert result.exit_code == 0, result.output
    assert "20 images, 20 groups, 2 grades in order" in result.output
    assert "no findings" in result.output
    assert "accuracy from the image border alone" in result.output


def test_strict_exits_3_on_findings_alone(clean: Path) -> None:
    (clean / "A" / "bad.jpg").write_bytes(b"x")
    assert run(clean).exit_code == 0
    result = run(clean, "--strict")
    assert result.exit_code == 3
    assert "unreadable: A/bad.jpg: not an image" in result.stdout
    assert "finding: 1 image unreadable: A/bad.jpg" in result.stdout


def test_the_old_name_of_nominal_is_still_understood_and_no_longer_shown(clean: Path) -> None:
    for option in ("--no-ordinal", "--nominal"):
        assert json.loads(run(clean, "--json", option).stdout)["ordinal"] is False
    shown = run("--help").output
    assert "--ordinal / --nominal" in shown
    assert "--no-ordinal" not in shown


def test_json_is_all_of_standard_output(clean: Path, tmp_path: Path) -> None:
    report = tmp_path / "new" / "report.html"
    result = run(clean, "--json", "--nominal", "--group-by", r"re:^\d{3}", "--out", report)
    assert result.exit_code == 0, result.output
    seen = json.loads(result.stdout)
    assert (seen["images"], seen["groups"], seen["ordinal"]) == (20, 3, False)
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_written_groups_are_read_again_and_never_overwritten(tmp_path: Path) -> None:
    table = write_spotted(tmp_path / "fruit") / "found.csv"
    result = run(table.parent, "--write-groups", table)
    assert result.exit_code == 0, result.output
    assert table.read_text().splitlines()[:4] == ["path,fruit", "A/0.png,1", "A/again.png,1", "A/1.png,2"]
    assert json.loads(run(table.parent, "--json").stdout)["findings"] == json.loads(result_of_json(table))["findings"]
    again = run(table.parent, "--write-groups", table)
    assert again.exit_code == 2
    assert "choose another name, so that no correction is lost" in again.output
    assert run(table.parent, "--write-groups", tmp_path / "found.txt").exit_code == 2


def result_of_json(table: Path) -> str:
    result = run(table.parent, "--json", "--group-by", "found.csv:fruit")
    assert json.loads(result.stdout)["groups"] == 16
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/absent"], "no such folder"),
        (["{clean}", "--group-by", "fruit"], "there is no CSV"),
        (["{clean}", "--ordinal=3"], "does not take a value"),
    ],
)
def test_wrong_usage_exits_2_with_one_line(clean: Path, arguments: list[str], message: str) -> None:
    result = run(*(argument.format(clean=clean) for argument in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_help_lists_both_commands_without_importing_what_they_need() -> None:
    code = (
        "import sys; from mango_grader.cli import main\n"
        "try: main(['data', 'inspect', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'sklearn', 'albumentations', 'imagehash', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--group-by" in done.stdout
    assert CliRunner().invoke(main, ["data"]).output.count("inspect") >= 1


@pytest.mark.parametrize("name", ["labels.csv", "photo.png", "home.html"])
def test_inspect_never_writes_over_labels_photos_or_pages_of_others(tmp_path: Path, name: str) -> None:
    folder = write_folders(tmp_path / "fruit", {"A": 2, "B": 2})
    (tmp_path / name).write_text("mine")
    done = call("data", "inspect", folder, "--out", tmp_path / name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / name).read_text() == "mine"
    for _ in range(2):  # Its own page it writes again.
        assert call("data", "inspect", folder, "--out", tmp_path / "inspect.html").exit_code == 0


def test_inspect_says_where_the_labels_are_from(clean: Path) -> None:
    assert "labels: folders, 2 classes" in run(clean).stdout
    (clean / "labels.csv").write_text("".join(f"{number:04d}.png,{number % 3}\n" for number in range(1, 21)))
    refused = run(clean)
    assert (refused.exit_code, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
    seen = run(clean / "labels.csv", "--out", clean.parent / "page.html")
    assert "labels: labels.csv, 3 classes" in seen.stdout
    assert "labels: labels.csv" in (clean.parent / "page.html").read_text(encoding="utf-8")
    assert json.loads(run(clean / "labels.csv", "--json").stdout)["labels_from"] == "labels.csv"


def test_control_characters_of_names_never_reach_the_terminal(tmp_path: Path) -> None:
    folder = write_folders(tmp_path / "a\x1b[31mred", {"A\x1b]0;t\x07": 6, "B": 6})
    (folder / "B" / "bad\r\x1b[2J.jpg").write_bytes(b"x")
    (folder / "other\x9b.mp4").write_bytes(b"x")
    for result in (run(folder), run(folder, "--group-by", "x"), run(folder / "B"), run(folder / "no\x1b")):
        assert not set("\x1b\x07\r\x9b") & set(result.stdout + result.stderr), result.output
    assert "A\\x1b" in run(folder).stdout


def test_one_of_a_kind_is_one(tmp_path: Path) -> None:
    folder = write_folders(tmp_path, {"train/A": 7, "train/B": 1, "test/A": 2})
    shutil.copy(folder / "train/A/0001.png", folder / "test/A/copy.png")
    shown = run(folder, "--group-by", r"re:^(\d{3})", "--out", tmp_path / "page.html").stdout
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for text in (shown, re.sub(r"<[^>]+>", " ", page)):
        assert not re.search(r"(?<![\d.,])1 +(images|groups|classes|sets|files|rows|findings|pictures)\b", text), text
