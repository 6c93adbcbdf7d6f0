"""Comparisons of tiny runs: fair, complete, and the same after a kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny import TINY

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.workflow.comparison import Comparison
from mango_grader.workflow.options import SearchOptions

SETTINGS = ("checkpoint_every=0", *(each for each in TINY if each != "method.steps=4" and "paths" not in each))
METHODS = "random/layerwise,enas"
RUNS = [("random/layerwise", 1), ("enas/layerwise", 1)]


def arguments(fruit: Path, out: Path, *more: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    asked = ["--methods", METHODS, "--seeds", "1", "--folds", "3", "--size", "24", "--device", "cpu"]
    return ["compare", "--data", str(fruit), "--out", str(out), *asked, *settings, "--progress", "none", *more]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    for each in found["runs"]:
        del each["figures"]["seconds"]
    for each in found["standings"]:
        for name in ("search_s", "train_s", "whole_s"):
            del each[name]
    return found


@pytest.fixture(scope="module")
def compared(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("comparison") / "whole"
    result = run(*arguments(fruit, out))
    assert result.exit_code == 0, result.output
    return out


def test_runs_share_the_pixels_that_the_first_of_them_decoded(compared: Path) -> None:
    one, other = compared.glob("*/seed-0/cache/*.u8")
    assert one.samefile(other)


def test_every_entry_stands_in_table_and_page(compared: Path) -> None:
    found = read_json(compared / "comparison.json")
    assert [(each["entry"], each["repeat"]) for each in found["runs"]] == RUNS
    for each in found["standings"]:
        assert each["runs"] == 1
        assert each["whole_s"]["mean"] >= each["search_s"]["mean"] + each["train_s"]["mean"]
        assert each["pictures"] == 15, "one of three folds of 45 images"
    page = (compared / "comparison.html").read_text()
    assert all(name in page for name, _ in RUNS)
    assert (compared / "enas-layerwise" / "seed-0" / "model.mango").exists(), "each is an ordinary run"


def test_repeats_are_taken_in_turn_and_differ_in_seed_and_fold_of_one_split(fruit: Path) -> None:
    comparison = Comparison(
        ("random/layerwise", "resnet18"), SearchOptions(data=str(fruit), settings=["method.epochs=3"]), 4, 3
    )
    runs = comparison.runs()
    assert [(run.entry.name, run.repeat) for run in runs[:3]] == [
        ("random/layerwise", 1), ("resnet18", 1), ("random/layerwise", 2)
    ]  # fmt: skip
    configs = [run.config for run in runs if run.entry.name == "resnet18"]
    assert [config.seed for config in configs] == [0, 1, 2, 3]
    assert [config.data.fold for config in configs] == [(1, 3), (2, 3), (3, 3), (1, 3)]
    assert {config.data.split_seed for config in configs} == {0}
    assert len({run.folder for run in runs}) == len(runs)
    assert [run.config.train for run in runs[::2]] == [run.config.train for run in runs[1::2]], "one recipe for all"


def test_pooled_figures_are_those_of_the_runs(compared: Path) -> None:
    found = read_json(compared / "comparison.json")
    for entry in found["standings"]:
        own = [each["figures"] for each in found["runs"] if each["entry"] == entry["name"]]
        letters = [marks[-1] for each in own for paths in each["right"].values() for marks in paths.values()]
        assert entry["pooled"]["value"] == pytest.approx(letters.count("1") / len(letters))
        by_run = [each["exits"][-1]["accuracy"] for each in own]
        assert entry["exits"][-1]["accuracy"]["mean"] == pytest.approx(sum(by_run) / len(by_run))


def test_a_killed_comparison_ends_as_one_left_alone(compared: Path, fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "broken"
    process = subprocess.Popen([sys.executable, "-m", "mango_grader", *arguments(fruit, out)])
    while not (out / "enas-layerwise" / "seed-0" / "plan.json").exists():
        assert process.poll() is None, "it ended before its second run"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = read_json(out / "comparison.json")
    assert [(each["entry"], each["repeat"]) for each in kept["runs"]] == RUNS[:1], "what was done is kept"
    first = (out / "random-layerwise" / "seed-0" / "model.mango").stat().st_mtime_ns
    result = run("compare", "--resume", "--out", str(out), "--progress", "none")
    assert result.exit_code == 0, result.output
    assert (out / "random-layerwise" / "seed-0" / "model.mango").stat().st_mtime_ns == first
    found = read_json(out / "comparison.json")
    assert found["runs"][0]["figures"]["seconds"] is not None
    assert found["runs"][1]["figures"]["seconds"] is None, "nobody knows how long an interrupted run took"
    assert without_times(found) == without_times(read_json(compared / "comparison.json"))


def test_a_finished_comparison_is_not_run_again_and_keeps_its_options(compared: Path, fruit: Path) -> None:
    before = read_json(compared / "comparison.json")
    assert run(*arguments(fruit, compared, "--resume")).exit_code == 0
    assert read_json(compared / "comparison.json") == before
    other = run(*arguments(fruit, compared, "--resume", "--budget", "10m"))
    assert other.exit_code == 2
    assert "other options" in other.stderr
    again = run(*arguments(fruit, compared))
    assert again.exit_code == 2
    assert "add --resume" in again.stderr


def test_of_two_at_a_time_one_that_fails_is_told_and_stops_no_other(fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    methods = [
        "--methods",
        "random/layerwise,shufflenet_v2_x0_5",
        "--jobs",
        "2",
        "--size",
        "32",
        "--set",
        "train.epochs=1",
    ]
    result = run(*arguments(fruit, out), *methods, "--max-params", "10")
    assert result.exit_code == 3, result.output
    failed, trained = read_json(out / "comparison.json")["runs"]
    assert "satisfies --max-params 10" in failed["error"]
    assert failed["figures"] is None
    assert trained["figures"]["exits"][-1]["params"] > 300_000, "limits bind what is searched"
    assert "satisfies --max-params 10" in result.stdout
    assert "random/layerwise #1 failed" in (out / "comparison.html").read_text()
