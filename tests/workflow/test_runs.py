"""Whole runs on tiny images through the command line: search, evaluate, export, and next season's training."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny import TINY, write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.runtime import Bundle, Grader

SETTINGS = ["--method", "enas", "--teacher", "none"] + [
    part for setting in (*TINY, "train.epochs=12") for part in ("--set", setting)
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def finished(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    result = run("search", "--data", fruit, "--size", 24, "--max-params", 4000, "--out", out, *SETTINGS)
    assert result.exit_code == 0, result.output
    return out


def test_a_search_leaves_everything_behind(finished: Path) -> None:
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {
        "config.json", "split.json", "plan.json", "history.jsonl", "architecture.json", "network.json",
        "weights.safetensors", "metrics.json", "predictions.jsonl", "model.mango", "report.html",
    } <= names  # fmt: skip
    phases = {json.loads(line)["phase"] for line in (finished / "history.jsonl").read_text().splitlines()}
    searching = {"search-weights", "search-architecture", "search-candidate"}
    assert phases == {*searching, "shortlist", "train", "inherited"}
    metrics = read_json(finished / "metrics.json")
    assert metrics["test"]["exits"][-1]["params"] <= 4000
    assert metrics["test"]["exits"][-1]["accuracy"]["value"] >= 0.8, "colour tells these classes apart"


def test_the_bundle_answers_as_the_run_measured(finished: Path, fruit: Path) -> None:
    grader = Grader.load(finished / "model.mango", policy="full")
    rows = [json.loads(line) for line in (finished / "predictions.jsonl").read_text().splitlines()]
    for record, row in zip(grader.grade_many(fruit / row["path"] for row in rows), rows, strict=True):
        np.testing.assert_allclose(record.probabilities, row["probabilities"][-1], atol=1e-4)
    assert grader.manifest.classes == ("green", "red", "yellow")


def test_the_split_keeps_parts_apart(finished: Path) -> None:
    split = read_json(finished / "split.json")
    parts = [set(split[name]) for name in ("train", "val", "test")]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts)) == 45


def test_what_the_report_warns_of_is_in_the_terminal(finished: Path) -> None:
    printed = run("search", "--resume", "--out", finished, "--progress", "none").stdout
    warned = [line.removeprefix("warning: ") for line in printed.splitlines() if line.startswith("warning: ")]
    report = (finished / "report.html").read_text(encoding="utf-8")
    listed = re.findall(r"<li>(.*?)</li>", report[report.index('id="warnings"') : report.index('id="accuracy"')])
    assert warned == [html.unescape(line) for line in listed]
    assert warned, "nine test images are few"


def test_what_the_search_moved_is_kept_reported_and_printed(finished: Path) -> None:
    kept = read_json(finished / "movement.json")
    assert 0 <= kept["decided"] <= 1
    assert kept["pick"]["candidates"] >= 2, "enas picks the best scored of its samples"
    printed = run("search", "--resume", "--out", finished, "--progress", "none").stdout
    assert f"search: {100 * kept['decided']:.1f} % of what was open is decided" in printed
    said = "THE SEARCH DID NOT MOVE" in printed
    assert said == (kept["decided"] <= kept["chance"]), "four steps of the controller move little"


def test_a_finished_run_is_not_run_again(finished: Path) -> None:
    before = (finished / "model.mango").stat().st_mtime_ns
    assert run("search", "--resume", "--out", finished).exit_code == 0
    assert (finished / "model.mango").stat().st_mtime_ns == before


def test_evaluate_agrees_with_the_run(finished: Path, fruit: Path) -> None:
    result = run(
        "evaluate", "--model", finished / "model.mango", "--data", fruit, "--split", finished / "split.json", "--json",
        "--progress", "none",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    measured = read_json(finished / "metrics.json")["test"]["exits"]
    for own, run_exit in zip(json.loads(result.stdout)["exits"], measured, strict=True):
        assert own["confusion"] == run_exit["confusion"]


def test_evaluate_lists_what_it_cannot_read(finished: Path, tmp_path: Path) -> None:
    photos = write_fruit(tmp_path / "photos", per_class=6, seed=3)
    (photos / "red" / "torn.png").write_bytes(b"\x89PNG torn")
    result = run("evaluate", "--model", finished / "model.mango", "--data", photos, "--progress", "none")
    assert result.exit_code == 3
    assert "torn.png" in result.stderr


def test_export_again(finished: Path, tmp_path: Path) -> None:
    result = run("export", finished, "--out", tmp_path / "again.mango")
    assert result.exit_code == 0, result.output
    first, second = Bundle.open(finished / "model.mango"), Bundle.open(tmp_path / "again.mango")
    assert replace(first.manifest, provenance={}, hashes={}) == replace(second.manifest, provenance={}, hashes={})
    np.testing.assert_array_equal(first.golden().probabilities, second.golden().probabilities)


def test_next_season_needs_no_search(finished: Path, tmp_path: Path) -> None:
    season = write_fruit(tmp_path / "season", seed=9)
    out = tmp_path / "run"
    result = run(
        "train", "--architecture", finished / "architecture.json", "--data", season, "--init-from", finished, "--out",
        out, "--set", "train.epochs=2", "--set", "train.batch_size=8",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "tensors taken over" in result.stderr
    assert Grader.load(out / "model.mango").manifest.classes == ("green", "red", "yellow")
    assert read_json(out / "metrics.json")["test"]["exits"][-1]["accuracy"]["value"] >= 0.6


def test_a_training_that_regularises_keeps_the_plain_network(finished: Path, fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = [
        "train.epochs=8", "train.batch_size=8", "train.ema=0.9", "train.distil=0.5", "train.drop_path=0.1",
        "train.dropout=0.1", "train.auxiliary=0.4", "train.loss=ordinal", "augment.policy=cifar10",
    ]  # fmt: skip
    result = run(
        "train", "--architecture", finished / "architecture.json", "--data", fruit, "--ordinal", "--out", out,
        *(part for setting in settings for part in ("--set", setting)),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert read_json(out / "network.json") == read_json(finished / "network.json")
    metrics, history = read_json(out / "metrics.json"), (out / "history.jsonl").read_text().splitlines()
    assert len(metrics["test"]["exits"]) == 2
    last = metrics["val"]["exits"][-1]["accuracy"]["value"]
    assert json.loads(history[-1])["val_accuracy"][-1] == pytest.approx(last), "what is watched is what is kept"


def test_a_baseline_goes_the_same_way(fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(
        "train", "--baseline", "shufflenet_v2_x0_5", "--data", fruit, "--size", 32, "--out", out, "--set",
        "train.epochs=1", "--set", "train.batch_size=8", "--fold", "2/5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert len(Grader.load(out / "model.mango").manifest.exits) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--set", "train.epoch=3"], "no such setting; there are epochs"),
        (["--set", "train.epochs=many"], "train.epochs"),
        (["--set", "epochs"], "write name=value"),
        (["--set", "train.ema=1"], "ema must be"),
        (["--set", "train.loss=ordinal"], "the classes have no order"),
        (["--set", "augment.policy=magic"], "policy"),
        (["--budget", "20 minutes"], "write, for example, 20m"),
        (["--budget", "1s"], "the smallest feasible is"),
        (["--fold", "6/5"], "fold"),
        (["--size", "4"], "write pixels"),
        (["--method", "magic"], "enas"),
        (["--max-params", "10"], "satisfies --max-params 10"),
        (["--group-by", "fruit"], "fruit"),
        (["--device", "tpu"], "choose auto, cpu"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(arguments: list[str], says: str, fruit: Path, tmp_path: Path) -> None:
    result = run("search", "--data", fruit, "--size", 24, "--out", tmp_path / "run", *SETTINGS, *arguments)
    assert result.exit_code == (1 if "satisfies" in says else 2), result.output
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_folders_that_are_taken_are_refused(finished: Path, fruit: Path, tmp_path: Path) -> None:
    result = run("search", "--data", fruit, "--out", finished)
    assert result.exit_code == 2
    assert "add --resume" in result.stderr
    result = run("search", "--data", fruit, "--out", finished, "--resume", "--seed", 5)
    assert result.exit_code == 2
    assert "other options" in result.stderr
    (tmp_path / "notes.txt").write_text("mine")
    result = run("search", "--data", fruit, "--out", tmp_path)
    assert result.exit_code == 2
    assert "choose a new or empty folder" in result.stderr
    (tmp_path / "config.json").write_text("also mine")
    assert run("search", "--data", fruit, "--out", tmp_path).exit_code == 2
    assert (tmp_path / "config.json").read_text() == "also mine"
    result = run("search", "--resume", "--out", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "holds no run" in result.stderr


def test_a_run_that_was_refused_can_be_corrected(fruit: Path, tmp_path: Path) -> None:
    start = ["search", "--data", fruit, "--size", 24, "--out", tmp_path / "run", "--plan-only", *SETTINGS]
    assert run(*start, "--budget", "1s").exit_code == 2
    result = run(*start, "--budget", "10m", "--seed", 5)
    assert result.exit_code == 0, result.output
    assert read_json(tmp_path / "run" / "config.json")["seed"] == 5
    assert run(*start).exit_code == 2, "now it holds a plan"


def test_the_plan_alone(fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("search", "--data", fruit, "--size", 24, "--out", out, "--plan-only", "--budget", "10m", *SETTINGS)
    assert result.exit_code == 0, result.output
    assert "extrapolated" in result.stderr
    assert read_json(out / "plan.json")["epochs"] > 12, "ten minutes are plenty for tiny images"
    assert not (out / "network.json").exists()
    assert "can move nothing" not in result.stderr


@pytest.mark.parametrize(
    ("method", "said"), [("betanas", "decide at most 0\\.\\d % of what is open"), ("dso", "decide nothing")]
)
def test_the_plan_says_where_the_published_steps_are_too_few_for_these_images(
    method: str, said: str, fruit: Path, tmp_path: Path
) -> None:
    settings = ("space.channels=8", "space.stages=1,1", "space.levels=1", "space.exits=1,2", "search.batch_size=32")
    shape = [part for each in settings for part in ("--set", each)]
    if method == "betanas":
        settings = ("space.stem_channels=8", "space.channels=8,8", "space.blocks=1,1", "space.strides=2,2")
        shape = [part for each in (*settings, "space.exits=1,2", "search.batch_size=8") for part in ("--set", each)]
    start = ["--data", fruit, "--size", 24, "--preset", "paper", "--method", method, "--plan-only", *shape]
    result = run("search", "--out", tmp_path / "run", *start)
    assert result.exit_code == 0, result.output
    assert re.search(
        rf"plan: warning: {method} can move nothing here: its \d+ architecture steps? can {said}", result.stderr
    )
