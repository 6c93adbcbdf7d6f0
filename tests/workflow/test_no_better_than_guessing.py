"""A run whose model is no better than guessing says so everywhere, and ends with exit code 3."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tiny import TINY

from mango_grader.cli import main
from mango_grader.files import read_json, write_json
from mango_grader.runtime import Bundle


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes that nothing tells apart, with 60 images each."""
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for name in ("A", "B", "C"):
        (folder / name).mkdir()
        for index in range(60):
            pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((24, 24), Image.Resampling.BICUBIC).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def guessing(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A finished run that could learn nothing, and what its command said."""
    out = tmp_path_factory.mktemp("run") / "run"
    settings = [part for setting in TINY for part in ("--set", setting)]
    options = ("--method", "enas", "--teacher", "none", "--size", 24, "--device", "cpu", "--progress", "none")
    return out, run("search", "--data", noise, "--out", out, *options, *settings)


def test_a_model_at_chance_ends_its_search_with_exit_code_3(guessing: tuple[Path, Result]) -> None:
    """On a busy machine a model at 34.8 % of three grades was reported like any other, with exit code 0."""
    out, result = guessing
    assert result.exit_code == 3, result.output
    assert "NO BETTER THAN GUESSING" in result.output
    assert read_json(out / "metrics.json")["test"]["exits"][-1]["groups"] >= 30
    again = run("search", "--resume", "--out", out, "--progress", "none")
    assert again.exit_code == 3
    assert "NO BETTER THAN GUESSING" in again.output


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_model_at_chance_is_called_so_wherever_it_is_looked_at(guessing: tuple[Path, Result], command: str) -> None:
    out, _ = guessing
    assert "NO BETTER THAN GUESSING" in (out / "report.html").read_text(encoding="utf-8")
    result = run(command, out / "model.mango")
    assert result.exit_code == 0
    assert "NO BETTER THAN GUESSING" in result.output


def test_a_training_at_chance_ends_with_exit_code_3(guessing: tuple[Path, Result], noise: Path, tmp_path: Path) -> None:
    out, _ = guessing
    options = ("--size", 24, "--device", "cpu", "--progress", "none", "--set", "train.epochs=2")
    result = run(
        "train", "--architecture", out / "architecture.json", "--data", noise, "--out", tmp_path / "out", *options
    )
    assert result.exit_code == 3, result.output
    assert "NO BETTER THAN GUESSING" in result.output
    assert "NO BETTER THAN GUESSING" in run("evaluate", "--model", out / "model.mango", "--data", noise).output


def test_rounds_that_there_was_no_time_for_are_told(guessing: tuple[Path, Result], tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    shutil.copytree(guessing[0], run_folder)
    plan = read_json(run_folder / "plan.json")
    assert plan["rounds"][0] == plan["rounds"][1] > 0
    write_json(run_folder / "plan.json", {**plan, "rounds": [2, 7]})
    result = run("export", run_folder, "--out", tmp_path / "again.mango", "--progress", "none")
    assert result.exit_code == 0, result.output
    assert "had time for 2 of its 7 rounds" in Bundle.open(tmp_path / "again.mango").card
    assert "had time for" not in Bundle.open(run_folder).card
