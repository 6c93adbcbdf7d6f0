"""The benchmark of inference, on photos so few and networks so small that its figures mean nothing, and its claims."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scripts import SMALL_TEACHER, measurements_done, run_script

from benchmarks.lib.inference.grading import peak_memory
from benchmarks.lib.inference.networks import yolo_ms
from benchmarks.lib.inference.photos import Photos
from benchmarks.lib.inference.summary import summarise
from benchmarks.lib.measurements import MeasurementFailedError
from mango_grader.synthetic import Series, write_synthetic


def test_every_claim_is_measured_and_missing_runs_are_trained_first(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 40, Series(0, size=64))
    where = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--folds", "2", "--until", "1")
    short = (
        "method.epochs=1", "method.samples=2", "search.shortlist.epochs=1", "train.epochs=1", *SMALL_TEACHER,
    )  # fmt: skip
    scale = ("--size", "32", "--epochs", "1", *(option for each in short for option in ("--set", each)))
    places = ("--runs", str(tmp_path / "runs"), "--work", str(tmp_path / "work"), "--python", str(tmp_path / "none"))
    counts = ("--photos", "6", "--large", "2", "--small", "50", "--rounds", "1", "--shrink", "8", "--rivals", "msdnet")
    options = (*where, *scale, *places, *counts)
    found = run_script("inference", *options, out=tmp_path / "inference.json")
    assert found["failed"] == {}
    networks = {"run/ours/fold-1", "run/msdnet/fold-1", "network/ours/fold-1", "network/msdnet/fold-1"}
    others = {"start/help", "start/load", "photos/1.3 MP", "photos/12 MP", "memory", "stream"}
    assert set(found["measurements"]) == networks | others
    photos = found["measurements"]["photos/1.3 MP"]["figures"]
    assert photos["photos"] == 6
    assert set(photos["share_of_decoding"]) == {"1", "2"}
    assert min(photos["cpu_ms"].values()) > 0
    ours = found["measurements"]["network/ours/fold-1"]["figures"]
    assert {"full", "exit:1", ours["default"]} <= set(ours["policies"])
    claims = {row["what"]: row for row in found["summary"]}
    assert len(claims) == len(found["summary"]) > 15
    assert all(row["met"] in (None, True, False) and row["value"] is not None for row in claims.values())
    assert any(what.startswith("images/s") and "msdnet" in what for what in claims)
    again = run_script("inference", *options, "--no-train", "--resume", out=tmp_path / "inference.json")
    assert measurements_done(again) == measurements_done(found)


def test_the_memory_of_a_job_is_its_own_however_much_the_benchmark_has(bundle: Path, tmp_path: Path) -> None:
    ballast = np.ones(400 << 20, np.uint8)
    few, many = (Photos(tmp_path / str(count), count, 64, 48, different=1) for count in (2, 4))
    found = peak_memory(str(bundle), few, many)
    assert 10 < max(found["peak_mib"].values()) < ballast.nbytes / (1 << 20)
    assert list(found["peak_mib"]) == ["2", "4"]


def network(ms: float, *accurate: tuple[str, float, str]) -> dict[str, Any]:
    """Return the figures of a network on four images; `accurate` names policies with milliseconds and answers."""
    policies = {name: {"ms": each, "correct": correct, "macs": 10.0} for name, each, correct in accurate}
    images = {name: name for name in "abcd"}
    return {"images": images, "macs": [4, 10], "default": "full", "graph_ms": ms, "usual_ms": ms, "policies": policies}


def claims(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["what"]: row for row in summarise(figures)}


def test_the_fastest_way_that_is_as_accurate_is_compared_with_each_other_network() -> None:
    ours = network(4.0, ("full", 4.0, "1111"), ("exit:1", 1.0, "1000"), ("exit:2", 2.0, "1101"))
    rows = claims(
        {
            "network/ours/fold-1": ours,
            "network/slow/fold-1": network(6.0, ("full", 6.0, "0111")),
            "network/good/fold-1": network(5.0, ("full", 5.0, "1111")),
            "network/slow/fold-2": network(9.0, ("full", 9.0, "1111")),  # on which ours was not measured
        }
    )
    slow = rows["images/s at the accuracy of slow, ours over theirs"]
    assert (slow["value"], slow["ours"]["policy"], slow["images"], slow["folds"]) == (3.0, "exit:2", 4, 1)
    assert rows["images/s at the accuracy of good, ours over theirs"]["ours"]["policy"] == "full"
    default = rows["images/s of our default policy over slow"]  # which is "full" here
    assert (default["value"], default["points"]) == (1.5, 25.0)
    exit_1 = rows["exit 1 over full.onnx"]
    assert (exit_1["value"], exit_1["goal"], exit_1["met"]) == (0.25, "<= 0.470", True)


def test_an_accuracy_that_is_not_reached_is_said() -> None:
    figures = {
        "network/ours/fold-1": network(2.0, ("full", 2.0, "1100"), ("exit:1", 1.0, "1000")),
        "network/better/fold-1": network(3.0, ("full", 3.0, "1110")),
    }
    row = claims(figures)["images/s beside better, of which we miss the accuracy, ours over theirs"]
    assert (row["value"], row["ours"]["policy"]) == (1.5, "full")


def test_an_msdnet_computed_the_usual_way_saves_nothing() -> None:
    figures = {"network/msdnet/fold-1": network(3.0, ("full", 3.3, "1111"), ("threshold", 1.5, "1110"))}
    figures["network/msdnet/fold-1"]["policies"]["threshold"]["macs"] = 5.0
    rows = claims(figures)
    assert [row["value"] for row in rows.values()] == [0.5, 1.0, 0.5]


def test_a_goal_that_is_missed_is_said() -> None:
    rows = claims({"start/help": {"cpu_s": {"search": 3.0}, "most_s": 3.0}, "start/load": {"load_s": 0.1,
                   "import_s": 0.2, "rounds": 3}})  # fmt: skip
    assert [row["met"] for row in rows.values()] == [False, True, None]


def test_photos_of_one_folder_are_few_files_of_the_size_asked_for(tmp_path: Path) -> None:
    photos = Photos(tmp_path / "photos", 5, 90, 60, different=2)
    files = photos.files()
    assert [Path(file).name for file in files] == [f"{number:06}.jpg" for number in range(5)]
    for file in files:
        with Image.open(file) as image:
            assert image.size == (90, 60)
    assert len({os.stat(file).st_ino for file in files}) == 2  # noqa: PTH116
    assert photos.files() == files
    assert photos.mean_bytes > 0


def test_the_speed_that_yolo_prints_is_the_sum_of_its_parts() -> None:
    printed = "image 1/1: 0.5ms\nSpeed: 0.2ms preprocess, 6.1ms inference, 0.0ms postprocess per image at shape (1, 3)"
    assert yolo_ms(printed) == pytest.approx(6.3)
    with pytest.raises(MeasurementFailedError, match="no speed: nothing"):
        yolo_ms("nothing")
