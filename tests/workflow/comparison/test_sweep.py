"""Sweeps of tiny runs: one comparison for each data set and limit, in one table, and the same after a kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny import TINY, write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.workflow.comparison import read_sweep

SETTINGS = ("checkpoint_every=0", *(each for each in TINY if each != "method.steps=4" and "paths" not in each))
SWEEP = """
methods = ["random/layerwise"]
seeds = 1
folds = 3
[options]
size = 24
device = "cpu"
settings = [{settings}]
[data.kent]
path = "kent"
[data.keitt]
path = "keitt"
[limits.small]
max_params = 3000
[limits.any]
max_macs = "none"
"""
CELLS = ("kent/small", "kent/any", "keitt/small", "keitt/any")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def stated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a sweep, beside its data sets."""
    home = tmp_path_factory.mktemp("farm")
    write_fruit(home / "kent", seed=1)
    write_fruit(home / "keitt", seed=2)
    file = home / "sweep.toml"
    file.write_text(SWEEP.format(settings=", ".join(f'"{each}"' for each in SETTINGS)))
    return file


@pytest.fixture(scope="module")
def swept(stated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("swept") / "whole"
    result = run("sweep", stated, "--out", out, "--progress", "none")
    assert result.exit_code == 0, result.output
    assert all(cell in result.stdout for cell in CELLS)
    return out


def outcomes(out: Path) -> dict[str, Any]:
    """Return what all runs achieved, without the time that it took."""
    found = {cell: read_json(out / cell.replace("/", "-") / "comparison.json")["runs"] for cell in CELLS}
    for runs in found.values():
        for each in runs:
            del each["figures"]["seconds"]
    return found


def test_each_data_set_and_limit_is_a_comparison(swept: Path) -> None:
    found = outcomes(swept)
    for cell, runs in found.items():
        assert [each["entry"] for each in runs] == ["random/layerwise"], cell
    for cell in ("kent/small", "keitt/small"):
        assert all(each["figures"]["exits"][-1]["params"] <= 3000 for each in found[cell])
    page = (swept / "sweep.html").read_text()
    for cell in CELLS:
        assert f'href="{cell.replace("/", "-")}/comparison.html"' in page
    assert found["kent/small"] != found["keitt/small"]
    assert page.count("No budget was given") == 1, "what holds for all comparisons is said once"


def test_a_killed_sweep_ends_as_one_left_alone(swept: Path, stated: Path, tmp_path: Path) -> None:
    out = tmp_path / "broken"
    command = [sys.executable, "-m", "mango_grader", "sweep", str(stated), "--out", str(out), "--progress", "none"]
    process = subprocess.Popen(command)
    while not (out / "keitt-small" / "random-layerwise" / "seed-0" / "plan.json").exists():
        assert process.poll() is None, "it ended before its third run"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = out / "kent-small" / "random-layerwise" / "seed-0" / "model.mango"
    before = done.stat().st_mtime_ns
    result = run("sweep", "--resume", "--out", out, "--progress", "none")
    assert result.exit_code == 0, result.output
    assert done.stat().st_mtime_ns == before, "what was done is kept"
    assert outcomes(out) == outcomes(swept)


def test_a_sweep_keeps_what_it_was_started_with(swept: Path, stated: Path, tmp_path: Path) -> None:
    again = run("sweep", stated, "--out", swept)
    assert again.exit_code == 2
    assert "add --resume" in again.stderr
    other = tmp_path / "other.toml"
    other.write_text(stated.read_text().replace("seeds = 1", "seeds = 2").replace('"kent"', f'"{stated.parent}/kent"'))
    changed = run("sweep", other, "--out", swept, "--resume")
    assert changed.exit_code == 2
    assert "another sweep" in changed.stderr
    assert run("sweep", "--out", tmp_path / "none", "--resume").exit_code == 2
    assert run("sweep", "--out", tmp_path / "none").exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seeds = 1", "sedes = 1", "no setting is called sedes"),
        ("seeds = 1", "seeds = 0", "seeds"),
        ('device = "cpu"', 'budget = "soon"', "'soon' is not a duration"),
        ('path = "kent"', "", "data.kent.path"),
        ("max_params = 3000", 'max_params = "many"', "limits.small.max_params"),
        ("seeds = 1", "seeds = = 1", "is no TOML"),
        ("[data.kent]", '[data."../kent"]', "'../kent' is to be a folder's name"),
        ("[limits.small]", '[limits."a/b"]', "'a/b' is to be a folder's name"),
        ("[data.keitt]", "[limits.any-small]\n[data.kent-any]", "would have the folder kent-any-small"),
    ],
)
def test_a_mistake_in_the_file_is_named_in_one_line(
    old: str, new: str, says: str, stated: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(stated.read_text().replace(old, new, 1))
    result = run("sweep", file, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert says in result.stderr
    assert not (tmp_path / "out").exists()


def test_paths_are_relative_to_the_file(stated: Path) -> None:
    assert read_sweep(stated).cells["kent/any"].options.data == str(stated.parent / "kent")
