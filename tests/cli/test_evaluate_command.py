"""`mango-grader evaluate`: every figure of a small real bundle can be told in advance."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from bundles import CLASSES, make_bundle, solid
from commands import call, read_csv
from PIL import Image

from mango_grader.files import write_json
from mango_grader.runtime import Grader


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "m.mango")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of each class of the model's, one of the red ones green, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("graded")
    for name in CLASSES:
        (folder / name).mkdir()
        for number in range(4):
            colour = "green" if name == "red" and number == 0 else name
            pixels = np.clip(solid(colour).astype(int) + 10 * number, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "yellow" / "torn.png").write_bytes(b"\x89PNG torn")
    return folder


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    found = call("evaluate", *arguments, "--progress", "none", "--json")
    assert found.exit_code == 3, found.output
    values: dict[str, Any] = json.loads(found.stdout)
    return values


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an evaluation that are the same whenever it is done."""
    combinations = [{**one, "latency": None} for one in found["combinations"]]
    return {**found, "combinations": combinations, "anytime": {**found["anytime"], "ms": None, "area_ms": None}}


def test_the_confusion_and_the_recalls_are_on_the_screen(model: Path, graded: Path) -> None:
    printed = call("evaluate", "--model", model, "--data", graded, "--progress", "none")
    assert printed.exit_code == 3
    rows = [line.split() for line in printed.stdout.splitlines()]
    assert ["green", "yellow", "red", "recall", "%"] in rows
    assert [row[:5] for row in rows if row and row[0] in CLASSES and len(row) > 5] == [
        ["green", "4", "0", "0", "100.0"], ["yellow", "0", "4", "0", "100.0"], ["red", "1", "0", "3", "75.0"],
    ]  # fmt: skip
    assert "12 images in 12 groups" in printed.stdout
    assert "left out yellow/torn.png: " in printed.stderr


def test_what_the_report_warns_of_is_on_the_screen(model: Path, graded: Path) -> None:
    printed = call("evaluate", "--model", model, "--data", graded, "--progress", "none").stdout
    assert "warning: Only 12 groups" in printed
    assert "warning: Only 12 groups" in "\n".join(
        f"warning: {line}" for line in evaluated("--model", model, "--data", graded)["warnings"]
    )


@pytest.mark.parametrize(("policy", "exits"), [("full", {2}), ("exit:1", {1}), ("exit:2", {2})])
def test_a_policy_decides_where_images_are_answered(
    policy: str, exits: set[int], model: Path, graded: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    found = evaluated("--model", model, "--data", graded, "--policy", policy, "--predictions", rows)
    assert found["answered"]["policy"] == policy
    answers = [json.loads(line) for line in rows.read_text().splitlines()]
    assert {row["exit"] for row in answers if row["error"] is None} == exits
    last = found["exits"][exits.pop() - 1]
    assert found["answered"]["confusion"] == last["confusion"]
    assert found["answered"]["recalls"] == last["recalls"]


def test_predictions_are_those_of_grade_image_by_image(model: Path, graded: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    evaluated("--model", model, "--data", graded, "--policy", "threshold", "--predictions", rows)
    grader = Grader.load(model, policy="threshold")
    found = read_csv(rows)
    assert len(found) == 13, "the unreadable image has a row, too"
    for row in found:
        record = grader.grade(graded / row["path"])
        assert row["label"] == row["path"].split("/")[0]
        assert row["group"] == row["path"]
        if record.error is not None:
            assert row["path"] == "yellow/torn.png"
            assert row["error"] == record.error
            assert (row["grade"], row["correct"], row["confidence"], row["exit"]) == ("", "", "", "")
            continue
        assert (row["grade"], int(row["exit"]), row["error"]) == (record.grade, record.exit, "")
        assert row["correct"] == ("true" if row["grade"] == row["label"] else "false")
        assert record.probabilities is not None
        np.testing.assert_allclose([float(row[f"p_{name}"]) for name in CLASSES], record.probabilities, atol=1e-6)
        assert float(row["confidence"]) == pytest.approx(max(record.probabilities), abs=1e-6)


def test_predictions_have_the_same_rows_in_every_format(model: Path, graded: Path, tmp_path: Path) -> None:
    for ending in ("jsonl", "parquet"):
        evaluated("--model", model, "--data", graded, "--predictions", tmp_path / f"rows.{ending}")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == lines
    assert list(lines[0]) == [
        "path", "label", "group", "grade", "correct", "confidence", "exit", *(f"p_{name}" for name in CLASSES), "error",
    ]  # fmt: skip


def test_the_precision_that_is_asked_for_answers(graded: Path, tmp_path: Path) -> None:
    shifted = make_bundle(tmp_path / "m.mango", noise=50.0)  # the int8 stages call everything green
    for precision, correct in (("fp32", 11), ("int8", 4)):
        found = evaluated("--model", shifted, "--data", graded, "--precision", precision)
        assert found["precision"] == precision
        assert sum(found["answered"]["confusion"][label][label] for label in range(3)) == correct


def test_a_split_says_which_images_belong_together(model: Path, graded: Path, tmp_path: Path) -> None:
    names = [f"green/{number}.png" for number in range(4)]
    split = tmp_path / "split.json"
    parts = {"train": [], "val": [], "test": [*names, "red/1.png", "red/2.png"]}
    write_json(split, {"schema": 1, **parts, "joined": dict.fromkeys(names, "one fruit"), "findings": []})
    found = call("evaluate", "--model", model, "--data", graded, "--split", split, "--json", "--progress", "none")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["exits"][0]["groups"] == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--policy", "often"], "use full, exit:K, threshold"),
        (["--policy", "exit:3"], "exits 1 to 2"),
        (["--precision", "fp16"], "'fp32', 'int8'"),
        (["--predictions", "rows.txt"], ".csv, .jsonl, .parquet"),
        (["--out", "figures.txt"], "figures are written as .json, .csv, .html"),
        (["--decide", "often"], "use argmax"),
        (["--decide", "argmax", "--decide", "often"], "use argmax"),
        (["--bootstrap", "7"], "use 100 to 100,000, or 0 for no intervals"),
        (["--split", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_evaluate_cannot_do_is_one_line(options: list[str], says: str, model: Path, graded: Path) -> None:
    refused = call("evaluate", "--model", model, "--data", graded, *options)
    assert refused.exit_code in (1, 2)
    assert says in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("Error: ")
    assert refused.stdout == ""


def test_evaluate_replaces_its_own_files_and_no_others(model: Path, graded: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image_id,label\na.jpg,green\n")
    (tmp_path / "split.json").write_text('{"schema": 1}')
    for option, name in (("--predictions", "labels.csv"), ("--out", "split.json")):
        before = (tmp_path / name).read_bytes()
        refused = call("evaluate", "--model", model, "--data", graded, option, tmp_path / name)
        assert refused.exit_code == 2
        assert "mango-grader did not write it" in refused.stderr
        assert (tmp_path / name).read_bytes() == before
    own = ("--predictions", tmp_path / "rows.csv", "--out", tmp_path / "figures.json")
    first = without_times(evaluated("--model", model, "--data", graded, *own))
    assert without_times(evaluated("--model", model, "--data", graded, *own)) == first


def test_only_unreadable_images_are_one_line_with_the_reason(model: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"torn")
    failed = call("evaluate", "--model", model, "--data", tmp_path, "--progress", "none")
    assert failed.exit_code == 1
    assert failed.stderr.startswith(f"Error: no image of {tmp_path} can be graded: ")
    assert failed.stderr.count("\n") == 1


def test_evaluate_reads_a_lone_test_folder_and_says_where_labels_are_from(
    model: Path, graded: Path, tmp_path: Path
) -> None:
    shutil.copytree(graded, tmp_path / "set" / "test")
    done = call("evaluate", "--model", model, "--data", tmp_path / "set", "--progress", "plain")
    assert done.exit_code == 3, done.output  # for the torn image
    assert "labels: folders, 3 classes" in done.stderr.splitlines()
    assert "12 images in 12 groups" in done.stdout


def test_evaluate_names_the_folder_to_pass_for_classes_one_level_too_deep(
    model: Path, graded: Path, tmp_path: Path
) -> None:
    shutil.copytree(graded, tmp_path / "set" / "mangos")
    done = call("evaluate", "--model", model, "--data", tmp_path / "set", "--progress", "none")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert f"pass {tmp_path / 'set' / 'mangos'}" in done.stderr


def test_policies_and_rules_stand_side_by_side(model: Path, graded: Path) -> None:
    asked = ("--policy", "exit:1", "--policy", "full", "--policy", "exit:1", "--decide", "argmax")
    found = evaluated("--model", model, "--data", graded, *asked)
    first, second = found["combinations"]
    assert [(one["policy"], one["decide"]) for one in (first, second)] == [("exit:1", "argmax"), ("full", "argmax")]
    assert found["answered"]["policy"] == "exit:1"
    assert (first["shares"], first["macs"]["value"], first["work"]["value"]) == ([1.0, 0.0], 100.0, 0.25)
    assert (second["shares"], second["macs"]["value"], second["work"]["value"]) == ([0.0, 1.0], 400.0, 1.0)
    for one, at in ((first, found["exits"][0]), (second, found["exits"][1])):
        names = ("accuracy", "balanced_accuracy", "recalls", "confusion", "calibration_error")
        assert {name: one["answers"][name] for name in names} == {name: at[name] for name in names}
        assert 0 < one["latency"]["p50"] <= one["latency"]["p99"]
    assert second["loss"]["value"] == 0
    assert found["anytime"]["accuracy"] == [one["accuracy"]["value"] for one in found["exits"]]


def test_without_a_policy_the_usual_ones_are_measured_and_the_models_own_is_answered(
    model: Path, graded: Path, tmp_path: Path
) -> None:
    found = evaluated("--model", model, "--data", graded)
    assert [one["policy"] for one in found["combinations"]] == ["full", "exit:1", "threshold"]
    own = make_bundle(tmp_path / "m.mango", default_policy="threshold")
    assert evaluated("--model", own, "--data", graded)["answered"]["policy"] == "threshold"


def test_a_deadline_is_kept_in_earnest_and_late_answers_are_counted(graded: Path, tmp_path: Path) -> None:
    slow = make_bundle(tmp_path / "slow.mango", products=100)  # stage 2 takes tens of milliseconds
    asked = ("--policy", "deadline:20s", "--policy", "deadline:0.001ms")
    roomy, tight = evaluated("--model", slow, "--data", graded, *asked)["combinations"]
    assert (roomy["shares"], roomy["late"]) == ([0.0, 1.0], 0.0)
    assert (tight["shares"], tight["late"]) == ([1.0, 0.0], 1.0)
    assert tight["latency"]["p50"] < roomy["latency"]["p50"]


def test_no_resamples_give_no_intervals_and_warn_of_none(model: Path, graded: Path) -> None:
    found = evaluated("--model", model, "--data", graded, "--bootstrap", "0")
    assert found["combinations"][0]["answers"]["accuracy"] == {"value": 11 / 12, "low": None, "high": None}
    assert found["combinations"][0]["loss"]["p"] is None
    assert not any("belong to one group" in line for line in found["warnings"])
    few = evaluated("--model", model, "--data", graded, "--bootstrap", "100")["exits"][0]["accuracy"]
    assert few["low"] < few["value"] < few["high"]


def test_figures_are_a_table_or_a_page(model: Path, graded: Path, tmp_path: Path) -> None:
    table, page = tmp_path / "figures.csv", tmp_path / "figures.html"
    for out in (table, page, table, page):  # its own files are replaced
        found = evaluated("--model", model, "--data", graded, "--out", out)
    rows = read_csv(table)
    assert [row["policy"] for row in rows] == [one["policy"] for one in found["combinations"]]
    for row, one in zip(rows, found["combinations"], strict=True):
        assert float(row["accuracy"]) == one["answers"]["accuracy"]["value"]
        assert [float(row["exit_1"]), float(row["exit_2"])] == one["shares"]
        assert (row["review"], row["late"], row["images"]) == ("", "", "12")
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "http" not in text.replace("http-equiv", "")
    for shown in ("exit:1", "threshold", "yellow/torn.png", "Decision rule argmax"):
        assert shown in text


def test_the_table_fits_a_hundred_columns(model: Path, graded: Path) -> None:
    printed = call("evaluate", "--model", model, "--data", graded, "--progress", "none").stdout
    titles = ("answers by argmax", "what they cost", "threshold")
    tables = [line for line in printed.splitlines() if line.startswith(titles)]
    assert len(tables) == 4
    assert max(map(len, tables)) <= 100


def test_all_are_priced_by_the_first_price_list(model: Path, graded: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("true,green,yellow,red,review\ngreen,0,1,1,0.2\nyellow,1,0,1,0.2\nred,3,1,0,0.2\n")
    asked = ("--policy", "full", "--decide", "argmax", "--decide", f"cost:{prices}")
    found = evaluated("--model", model, "--data", graded, *asked)
    plain, priced = found["combinations"]
    assert found["priced_by"] == f"cost:{prices}"
    assert plain["cost"]["value"] == pytest.approx(1000 * 3 / 12)  # one red called green
    assert plain["review"] is None
    assert 0 <= priced["review"]["value"] <= 1
    bare = evaluated("--model", model, "--data", graded, "--policy", "full")
    assert (bare["priced_by"], bare["combinations"][0]["cost"]) == (None, None)
