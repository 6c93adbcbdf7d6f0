"""`mango-grader conveyor fusion` on folders of noisy fruit, several images of each."""

import json
from pathlib import Path

import pytest
from commands import call
from noisy_fruit import CLASSES, calibration_of, draw_fruit, make_noisy_bundle
from PIL import Image

from mango_grader.line import read_config

LINE = """# Line 3, by the window.
[camera]
width = 640
height = 480

[belt]
direction = "right"
decision_line = 500  # in front of the ejectors

[finder]
kind = "whole-frame"
"""
GROUPS = ("--group-by", r"re:fruit\d+")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_noisy_bundle(tmp_path_factory.mktemp("model") / "noisy.mango", calibration_of(draw_fruit(60, seed=1)))


def crops(folder: Path, count: int, per_fruit: int) -> Path:
    drawn = draw_fruit(count, seed=2, per_fruit=per_fruit)
    for number, (image, label, fruit) in enumerate(zip(drawn.images, drawn.labels, drawn.groups, strict=True)):
        place = folder / CLASSES[label] / f"fruit{fruit:03}_{number % per_fruit}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    return folder


def test_the_fitted_fusion_is_set_in_the_configuration_and_nothing_else(model: Path, tmp_path: Path) -> None:
    line = tmp_path / "line.toml"
    line.write_text(LINE, encoding="utf-8")
    folder = crops(tmp_path / "crops", 60, 4)
    done = call("conveyor", "fusion", folder, "--model", model, *GROUPS, "--config", line, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["fruit"], told["views"], told["errors"]) == (60, 240, {})
    scores = {score["fusion"].partition(":")[0]: score for score in told["scores"][1:]}
    assert scores.keys() == {"evidence", "mean", "vote"}  # the classes are not in order
    # The noise of the views is independent, so that evidence adds up.
    correlations = told["fusion"].removeprefix("evidence:").split(",")
    assert len(correlations) == 3
    assert float(correlations[-1]) < 0.5
    assert told["scores"][0]["log_loss"] < min(scores["mean"]["log_loss"], told["single"]["log_loss"])
    assert told["scores"][0]["accuracy"] > told["single"]["accuracy"] + 0.02
    assert read_config(line).grading.fusion == told["fusion"]
    assert line.read_text(encoding="utf-8").startswith(LINE.rstrip())


def test_a_person_reads_a_table(model: Path, tmp_path: Path) -> None:
    done = call("conveyor", "fusion", crops(tmp_path / "crops", 30, 2), "--model", model, *GROUPS)
    assert done.exit_code == 0, done.stderr
    assert "one view" in done.stdout
    assert 'fitted  grading.fusion = "evidence:' in done.stdout


@pytest.mark.parametrize(("count", "per_fruit"), [(30, 1), (19, 3)])
def test_too_few_fruit_with_several_views_are_refused(model: Path, tmp_path: Path, count: int, per_fruit: int) -> None:
    done = call("conveyor", "fusion", crops(tmp_path / "crops", count, per_fruit), "--model", model, *GROUPS)
    assert done.exit_code == 2
    assert f"{count if per_fruit > 1 else 0} graded fruit have several views, 20 are needed" in done.stderr


def test_a_configuration_that_cannot_be_read_is_refused_first(model: Path, tmp_path: Path) -> None:
    line = tmp_path / "line.toml"
    line.write_text(LINE + "[grading]\nfusoin = 'mean'\n", encoding="utf-8")
    done = call("conveyor", "fusion", tmp_path / "none", "--model", model, "--config", line)
    assert done.exit_code == 2
    assert "no setting is called fusoin" in done.stderr
