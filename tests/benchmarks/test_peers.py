import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripts import ROOT, measurements_done, run_script

from benchmarks.lib.peers.runs import Pack, measure_foreign, prepared, time_foreign
from benchmarks.lib.peers.summary import OURS, latency_name, measurement_name, summary
from mango_grader.synthetic import Series, write_synthetic

OPTIONS = ("--epochs", "1", "--size", "32", "--folds", "2", "--until", "1", "--jobs", "1")
# Its export names what it saw: how red and how blue an image is.
SCRIPT = """
import sys
sys.path.insert(0, {scripts!r})
import torch
from bridge import MODEL, Trained, count_macs, count_params, export_onnx, run

class RedOrBlue(torch.nn.Module):
    def forward(self, images):
        return images.mean((1, 2))[:, 0::2]

def train(task):
    assert task.fold.classes == 2 and task.epochs == 3, task
    image = torch.zeros(1, 8, 8, 3)
    net = RedOrBlue()
    export_onnx(net, image, task.out / MODEL)
    return Trained(1.5, count_params(net), count_macs(net.eval(), image), "NHWC", (0.2,) * 3, (0.5,) * 3, {{}})

run(train, ())
"""


def test_a_peer_is_measured_once_and_one_that_is_not_installed_is_named(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 40, Series(0, size=64))
    place = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work"))
    chosen = ("--peers", "shufflenet_v2_x0_5,efficientnet_lite0", "--python", sys.executable)
    first = run_script("peers", *place, *OPTIONS, *chosen, out=tmp_path / "peers.json")
    measurement, latency = first["measurements"].values()
    measured, absent = first["summary"]
    assert (absent["peer"], absent["status"], absent["n"]) == ("efficientnet_lite0", "not installed", None)
    (answers,) = measurement["figures"]["correct"]
    (exit_,) = measured["exits"]
    assert exit_["accuracy"]["value"] == pytest.approx(answers.count("1") / len(answers))
    assert latency["figures"] == [exit_["latency_ms"]]
    assert min(exit_["macs"], exit_["params"], exit_["latency_ms"], measured["train_s"]["mean"]) > 0
    assert (tmp_path / "peers.png").stat().st_size > 2_000
    again = run_script("peers", *place, *OPTIONS, *chosen, "--resume", out=tmp_path / "peers.json")
    assert measurements_done(again) == measurements_done(first)


def test_folds_are_pooled_and_compared_where_both_are_done() -> None:
    def measurement(*right: str) -> dict[str, Any]:
        costs = {name: [1 + number for number in range(len(right))] for name in ("params", "macs")}
        return {"correct": list(right), "train_s": 2.0, **costs}

    figures = {
        measurement_name(OURS, 1): measurement("0000", "1111"),
        measurement_name(OURS, 2): measurement("11", "11"),
        latency_name(OURS, 2): [3.0, 4.0],
        measurement_name("theirs", 1): measurement("1110"),
    }
    groups = {1: ["a", "b", "c", "d"], 2: ["a", "b"]}
    ours, theirs, absent = summary([OURS, "theirs", "lacking"], ["lacking"], groups, figures)
    assert [exit_["accuracy"]["value"] for exit_ in ours["exits"]] == pytest.approx([2 / 6, 1])
    assert [exit_["macs"] for exit_ in ours["exits"]] == [1, 2]
    assert [exit_["latency_ms"] for exit_ in ours["exits"]] == [3.0, 4.0], "of the fold that was timed"
    assert theirs["exits"][0]["latency_ms"] is None
    assert (ours["n"], ours["groups"], theirs["n"]) == (6, 6, 4)
    assert theirs["ours_minus_it"]["folds"] == [1]
    assert theirs["ours_minus_it"]["value"] == pytest.approx(0.25)
    assert absent["status"] == "not installed"


@pytest.fixture
def measure(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Return what runs a script on a fold of one blue and three red test images, labelled red, red, red, blue."""

    pack = Pack(tmp_path)
    images = np.zeros((4, 8, 8, 3), np.uint8)
    images[:3, :, :, 0], images[3, :, :, 2] = 200, 200
    labels = np.array([0, 0, 0, 1])
    learn = {"train_images": images, "train_labels": labels, "val_images": images, "val_labels": labels}
    np.savez(pack.train, **learn, classes=2)
    np.savez(tmp_path / "test.npz", images=images, labels=labels)

    def run(script: str) -> dict[str, Any]:
        (tmp_path / "script.py").write_text(script)
        command = (sys.executable, str(tmp_path / "script.py"))
        found: dict[str, Any] = measure_foreign(pack, tmp_path / "out", command, ["--epochs=3"])
        return {**found, "latency_ms": time_foreign(pack, tmp_path / "out")}

    return run


def test_a_foreign_graph_is_fed_as_its_figures_say(measure: Callable[[str], dict[str, Any]]) -> None:
    found = measure(SCRIPT.format(scripts=str(ROOT / "benchmarks" / "lib" / "peers" / "scripts")))
    assert found["correct"] == ["1111"]
    assert (found["params"], found["macs"], found["train_s"]) == ([0], [0], 1.5)
    assert min(found["latency_ms"]) > 0


def test_images_are_scaled_and_laid_out_as_asked() -> None:
    images = np.zeros((2, 4, 5, 3), np.uint8)
    images[..., 2] = 255
    asked = {"mean": [0.5, 0.0, 0.5], "std": [0.25, 1.0, 0.5]}
    upright = prepared(images, {**asked, "layout": "NCHW"})
    assert upright.shape == (2, 3, 4, 5)
    assert upright[:, :, 0, 0].tolist() == [[-2.0, 0.0, 1.0]] * 2
    assert np.array_equal(prepared(images, {**asked, "layout": "NHWC"}), np.moveaxis(upright, 1, 3))


def test_a_script_that_fails_says_why(measure: Callable[[str], dict[str, Any]]) -> None:
    with pytest.raises(Exception, match="too few images") as failed:
        measure("raise SystemExit('too few images')")
    assert failed.type.__name__ == "MeasurementFailedError"
