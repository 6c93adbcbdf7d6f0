"""Data that were moved while a run was interrupted: it says so, is told where they are, and ends as if they had not."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from distillation.teachers import write_architecture
from PIL import Image
from tiny import TINY, write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json, write_json
from mango_grader.workflow.run.folder import RunFolder

NET = "shufflenet_v2_x0_5"
TRAINED = ("--set", "train.epochs=2", "--set", "train.batch_size=8", "--device", "cpu")
SEARCHED = (
    "--size", 24, "--device", "cpu", *(part for each in (*TINY, "train.epochs=2") for part in ("--set", each))
)  # fmt: skip


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def command(kind: str, home: Path) -> tuple[object, ...]:
    if kind == "search":
        return "search", "--method", "enas", "--teacher", "none", *SEARCHED
    return "train", *TRAINED, "--architecture", write_architecture(home / "architecture.json")


@pytest.mark.parametrize("kind", ["search", "train"])
def test_a_run_goes_on_where_its_data_were_moved_to(kind: str, tmp_path: Path) -> None:
    data, run, moved = write_fruit(tmp_path / "data"), tmp_path / "a run", tmp_path / "moved"
    name, *options = command(kind, tmp_path)
    assert call(name, *options, "--data", data, "--out", tmp_path / "alone").exit_code == 0
    assert call(name, *options, "--data", data, "--out", run, "--plan-only").exit_code == 0
    data.rename(moved)
    result = call(name, "--resume", "--out", run)
    assert result.exit_code == 2
    assert f"no longer at {data}" in result.stderr
    assert f"mango-grader {kind} --resume --out '{run}' --data DIR" in result.stderr
    shutil.copytree(moved, tmp_path / "other")
    Image.new("RGB", (24, 24), "blue").save(tmp_path / "other" / "red" / "003.png")
    result = call(name, "--resume", "--out", run, "--data", tmp_path / "other")
    assert result.exit_code == 2
    assert "1 image overwritten (red/003.png)" in result.stderr
    assert read_json(run / "config.json")["data"]["path"] == str(data), "what was refused is not kept"
    result = call(name, "--resume", "--out", run, "--data", moved)
    assert result.exit_code == 0, result.output
    assert read_json(run / "config.json")["data"]["path"] == str(moved)
    assert call("export", run).exit_code == 0
    for kept in ("weights.safetensors", "history.jsonl", "metrics.json", "predictions.jsonl", "split.json"):
        assert (run / kept).read_bytes() == (tmp_path / "alone" / kept).read_bytes(), kept


def test_moved_data_are_found_beside_all_other_options_and_these_must_be_the_same(tmp_path: Path) -> None:
    data, run, moved = write_fruit(tmp_path / "data"), tmp_path / "run", tmp_path / "moved"
    name, *options = command("train", tmp_path)
    assert call(name, *options, "--data", data, "--out", run, "--plan-only").exit_code == 0
    data.rename(moved)
    result = call(name, "--resume", *options, "--data", data, "--out", run)
    assert result.exit_code == 2
    assert f"mango-grader train --resume --out {run} --data DIR" in result.stderr
    result = call(name, "--resume", *options, "--seed", 5, "--data", moved, "--out", run)
    assert result.exit_code == 2
    assert "other options" in result.stderr
    result = call(name, "--resume", *options, "--data", moved, "--out", run)
    assert result.exit_code == 0, result.output


def test_settings_of_a_resumed_run_are_never_ignored(tmp_path: Path) -> None:
    data, run = write_fruit(tmp_path / "data"), tmp_path / "run"
    name, *options = command("train", tmp_path)
    assert call(name, *options, "--data", data, "--out", run, "--plan-only").exit_code == 0
    result = call(name, "--resume", "--out", run, "--seed", 5)
    assert result.exit_code == 2
    assert "leave out --seed" in result.stderr


def test_a_comparison_goes_on_where_its_data_were_moved_to(tmp_path: Path) -> None:
    data, out, moved = write_fruit(tmp_path / "data"), tmp_path / "compared", tmp_path / "moved"
    result = call("compare", "--data", data, "--out", out, "--methods", NET, "--size", 32, "--seeds", 1, *TRAINED)
    assert result.exit_code == 0, result.output
    write_json(out / "comparison.json", {**read_json(out / "comparison.json"), "runs": []})  # killed before its end
    unfinished = out / NET / "seed-0"
    for name in ("weights.safetensors", "metrics.json"):
        (unfinished / name).unlink()
    data.rename(moved)
    result = call("compare", "--resume", "--out", out)
    assert result.exit_code == 2
    assert f"mango-grader compare --resume --out {out} --data DIR" in result.stderr
    result = call("compare", "--resume", "--out", out, "--data", moved)
    assert result.exit_code == 0, result.output
    assert read_json(out / "comparison.json")["comparison"]["options"]["data"] == str(moved)
    assert (unfinished / "metrics.json").exists()


def test_a_second_process_changes_nothing_in_a_folder_that_is_held(tmp_path: Path) -> None:
    data, run = write_fruit(tmp_path / "data"), RunFolder(tmp_path / "run")
    name, *options = command("train", tmp_path)
    assert call(name, *options, "--data", data, "--out", run.path, "--plan-only").exit_code == 0
    run.plan.unlink()  # as while the first process still times its steps
    before = run.config.read_bytes(), run.split.read_bytes()
    with run.locked():
        result = call(name, *options, "--data", data, "--out", run.path, "--seed", 5)
    assert result.exit_code == 2
    assert "in use by another process" in result.stderr
    assert (run.config.read_bytes(), run.split.read_bytes()) == before


def test_runs_of_a_comparison_are_never_made_of_different_data(tmp_path: Path) -> None:
    data, out = write_fruit(tmp_path / "data"), tmp_path / "compared"
    result = call("compare", "--data", data, "--out", out, "--methods", NET, "--size", 32, "--seeds", 1, *TRAINED)
    assert result.exit_code == 0, result.output
    kept = read_json(out / "comparison.json")
    asked = {**kept["comparison"], "seeds": 2}  # killed before its second run
    write_json(out / "comparison.json", {**kept, "comparison": asked})
    shutil.copy(data / "red" / "000.png", data / "red" / "999.png")
    result = call("compare", "--resume", "--out", out)
    assert result.exit_code == 3, result.output
    assert "not those of the runs before: 1 image added (red/999.png)" in result.stdout
    (data / "red" / "999.png").unlink()
    result = call("compare", "--resume", "--out", out)
    assert result.exit_code == 0, result.output
