import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from commands import call
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
    assert "border alone tells" in result.output


def test_strict_exits_3_on_findings_alone(clean: Path) -> None:
    (clean / "A" / "bad.jpg").write_bytes(b"x")
    assert run(clean).exit_code == 0
    result = run(clean, "--strict")
    assert result.exit_code == 3
    assert "unreadable: A/bad.jpg: not an image" in result.stdout
    assert "finding: 1 image unreadable: A/bad.jpg" in result.stdout


def test_json_is_all_of_standard_output(clean: Path, tmp_path: Path) -> None:
    report = tmp_path / "new" / "report.html"
    result = run(clean, "--json", "--no-ordinal", "--group-by", r"re:^\d{3}", "--out", report)
    assert result.exit_code == 0, result.output
    seen = json.loads(result.stdout)
    assert (seen["images"], seen["groups"], seen["ordinal"]) == (20, 3, False)
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")


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
