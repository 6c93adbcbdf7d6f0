"""What commands print at their end, on a terminal and in a pipe."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import call
from photos import write_folders

from mango_grader.automl.methods import METHODS
from mango_grader.cli.summary import print_comparison
from mango_grader.datasets.inspection import inspect_folder
from mango_grader.text import counted
from mango_grader.workflow.comparison import Comparison
from mango_grader.workflow.comparison.compare import ComparisonFolder
from mango_grader.workflow.comparison.outcomes import ExitFigures, Outcome, RunFigures, Seconds
from mango_grader.workflow.options import SearchOptions

ENTRIES = ("random/nasbench201", "efficientnet_lite0_front_halved", "tnas-os/shufflenet")


@pytest.fixture
def compared(tmp_path: Path) -> ComparisonFolder:
    """A comparison of entries with long names, one run each, on 40 images."""

    def outcome(entry: str, wrong: int) -> Outcome:
        right = {f"fruit{place}": {f"{place}.jpg": "1" if place >= wrong else "0"} for place in range(40)}
        figures = (ExitFigures(1 - wrong / 40, 0.8 - wrong / 100, 12_345_678, 1_234_567),)
        return Outcome(entry, 1, RunFigures(figures, 40, Seconds(100.0, 200.0, 3000.0), right))

    outcomes = {(entry, 1): outcome(entry, place) for place, entry in enumerate(ENTRIES, start=1)}
    return ComparisonFolder(tmp_path, Comparison(ENTRIES, SearchOptions(data=str(tmp_path)), seeds=1), outcomes)


def test_compare_keeps_the_names_of_its_entries_in_a_pipe(
    compared: ComparisonFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    print_comparison(compared)
    printed = capsys.readouterr().out
    for entry in ENTRIES:
        assert len(re.findall(rf"^{re.escape(entry)} .*[0-9–]", printed, re.MULTILINE)) == 2, printed
    assert "…" not in printed
    assert "1 run each" in printed


def test_what_the_page_of_a_comparison_warns_of_is_in_the_terminal(
    compared: ComparisonFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    compared.add(Outcome(ENTRIES[0], 1, None, "no architecture satisfies the limits"))
    print_comparison(compared)
    printed = capsys.readouterr().out
    html = compared.report.read_text(encoding="utf-8")
    for line in (
        "random/nasbench201 #1 failed: no architecture satisfies the limits",
        "No budget was given: each run took as long as its preset needs, so entries do not cost equal time.",
        "1 run per entry says little about the variation between seeds.",
    ):
        assert line in html
        assert f"warning: {line}\n" in printed


def test_an_entry_at_chance_is_called_so(compared: ComparisonFolder, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = {
        key: replace(outcome, figures=outcome.figures and replace(outcome.figures, commonest=share))
        for (key, outcome), share in zip(compared.outcomes.items(), (0.3, 0.3, 0.95), strict=True)
    }
    print_comparison(replace(compared, outcomes=outcomes))
    lines = [line for line in capsys.readouterr().out.splitlines() if "NO BETTER THAN GUESSING" in line]
    assert [line.split(": ")[1] for line in lines] == [ENTRIES[-1]]


def test_a_narrow_terminal_folds_names_and_loses_no_figure(
    compared: ComparisonFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    print_comparison(compared)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    table = printed[: printed.index("work:")]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in printed
    assert "efficientnet_lite0" in re.sub(r"\s", "", printed)
    assert "97.5 (92.5–100.0)" in printed


@pytest.mark.parametrize("command", ["methods", "spaces"])
def test_tables_are_as_wide_as_they_are_in_a_pipe(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # of the terminal that the pipe is not
    printed = call(command).stdout
    assert "…" not in printed
    header = printed.splitlines()[0]
    if command == "methods":
        assert all(name in header for name in METHODS)
    else:
        assert header.split() == ["space", "decisions", "architectures", "searched", "by"]
        assert all(re.match(r"\w+ +\d+ +10\^", line) for line in printed.splitlines()[1:9]), "a line a space"


def test_one_of_a_kind_is_singular(tmp_path: Path) -> None:
    assert [counted(count, "set") for count in (0, 1, 2, 1200)] == ["0 sets", "1 set", "2 sets", "1,200 sets"]
    assert [counted(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]
    folder = write_folders(tmp_path, {"train/A": 12, "train/B": 1})
    (folder / "train/A/copy.png").write_bytes((folder / "train/A/0001.png").read_bytes())
    seen = inspect_folder(folder)
    said = " ".join((*seen.findings, *seen.notes))
    assert "1 file is an exact copy of another (1 set)" in said
    assert "class B has 1 group of" in said
    assert not re.search(r"\b1 (sets|groups|images|files)\b", said)
    printed = call("data", "inspect", folder, "--progress", "none").stdout
    assert not re.search(r"\b1 (sets|groups|images|files|classes)\b", printed)
