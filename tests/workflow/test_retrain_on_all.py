"""A run that retrains on all images: calibrated without the validation images, shipped with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from distillation import teachers
from safetensors.torch import load_file

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Bundle, Grader
from mango_grader.settings import checked
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.run.budget import TrainCost
from mango_grader.workflow.run.data import prepare
from mango_grader.workflow.run.folder import RunFolder

EPOCHS = 6


def trained(fruit: Path, out: Path, *options: str) -> RunFolder:
    architecture = teachers.write_architecture(out.parent / f"{out.name}.json")
    arguments = [
        "train", "--architecture", str(architecture), "--data", str(fruit), "--out", str(out), "--device", "cpu"
    ]  # fmt: skip
    settings = (f"train.epochs={EPOCHS}", "train.batch_size=8")
    set_ = [part for setting in settings for part in ("--set", setting)]
    result = CliRunner().invoke(main, [*arguments, *set_, *options])
    assert result.exit_code == 0, result.output
    return RunFolder(out)


@pytest.fixture(scope="module")
def plain(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(fruit, tmp_path_factory.mktemp("runs") / "plain")


@pytest.fixture(scope="module")
def retrained(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(fruit, tmp_path_factory.mktemp("runs") / "retrained", "--retrain-on-all")


def test_calibration_and_validation_are_those_of_a_run_that_trains_once(plain: RunFolder, retrained: RunFolder) -> None:
    first, second = load_file(plain.weights), load_file(retrained.weights_before_refit)
    assert all(torch.equal(first[name], second[name]) for name in first)
    before, after = read_json(plain.metrics), read_json(retrained.metrics)
    assert before["calibration"] == after["calibration"]
    assert before["val"] == after["val"]


def test_what_is_measured_on_test_images_and_shipped_learned_from_all_others(
    plain: RunFolder, retrained: RunFolder, fruit: Path
) -> None:
    first, second = load_file(plain.weights), load_file(retrained.weights)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    rows = [json.loads(line) for line in retrained.predictions.read_text().splitlines()]
    grader = Grader.load(retrained.model, policy="full")
    for record, row in zip(grader.grade_many(fruit / row["path"] for row in rows), rows, strict=True):
        np.testing.assert_allclose(record.probabilities, row["probabilities"][-1], atol=1e-4)
    phases = [row["phase"] for row in retrained.read_history()]
    assert phases == ["train"] * EPOCHS + ["refit"] * EPOCHS
    assert "val_accuracy" not in retrained.read_history()[-1]


def test_the_second_training_sees_training_and_validation_images_and_no_test_image(plain: RunFolder) -> None:
    data = prepare(plain.read_config().data, plain, SilentProgress())
    seen = set(data.with_val().train.rows)
    assert seen == {*data.train.rows, *data.val.rows}
    assert not seen & set(data.test.rows)
    assert len(data.with_val().train) == len(data.train) + len(data.val)


def test_report_and_bundle_say_so(plain: RunFolder, retrained: RunFolder) -> None:
    said = "retrained on the training and validation images together"
    assert said in retrained.report.read_text()
    assert said in Bundle.open(retrained.model).card
    assert Bundle.open(retrained.model).manifest.provenance["refit"] is True
    assert said not in plain.report.read_text()


def test_a_teacher_answers_for_the_validation_images_too(plain: RunFolder, fruit: Path, tmp_path: Path) -> None:
    run = trained(
        fruit, tmp_path / "distilled", "--retrain-on-all", "--teacher", str(plain.path), "--set", "teacher.views=1"
    )
    data = prepare(run.read_config().data, run, SilentProgress())
    for phase, part in (("train", data.train), ("refit", data.with_val().train)):
        answers = [np.load(path) for path in sorted((run.teacher / f"answers-{phase}").glob("*.npy"))]
        assert sum(map(len, answers)) == len(part) // 8


def test_a_plan_counts_both_trainings(
    plain: RunFolder, fruit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango_grader.workflow.train.epoch_seconds", lambda *_: 10.0)
    data = prepare(plain.read_config().data, plain, SilentProgress())
    once, twice = (
        read_json(trained(fruit, tmp_path / name, "--plan-only", *options).plan)["train_s"]
        for name, options in (("once", ()), ("twice", ("--retrain-on-all",)))
    )
    assert once == 10 * EPOCHS
    assert twice == pytest.approx(once * (1 + len(data.with_val().train) / len(data.train)))
    assert TrainCost(epoch=2.0, view=1.0, views=3, preparation=5.0).times(2.5).seconds(4) == 5.0 + 4 * 5.0 + 3 * 2.5


def test_the_option_and_the_setting_of_earlier_versions_still_work(fruit: Path, tmp_path: Path) -> None:
    """They were called refit; run folders, comparisons and scripts have them."""
    config = SearchOptions(data=str(fruit), retrain_on_all=True).config()
    saved = config.to_dict()
    saved["refit"] = saved.pop("retrain_on_all")
    assert RunConfig.from_dict(saved) == config
    assert SearchOptions(data=str(fruit)).config().with_settings(["refit=true"]) == config
    options = {"data": str(fruit), "refit": True}
    assert checked(SearchOptions, options) == SearchOptions(data=str(fruit), retrain_on_all=True)
    assert trained(fruit, tmp_path / "run", "--refit", "--plan-only").read_config().retrain_on_all


def test_the_risk_of_stopping_early_is_not_known_of_a_model_that_learned_from_its_calibration_fruit(
    retrained: RunFolder,
) -> None:
    shown = " ".join(CliRunner().invoke(main, ["info", str(retrained.path)]).output.split())
    assert "default policy full: the network was trained on its calibration fruit, too" in shown
    refused = CliRunner().invoke(
        main, ["grade", str(retrained.path), "--model", str(retrained.path), "--policy", "risk"]
    )
    assert refused.exit_code == 2
    assert "give it fresh fruit: mango-grader calibrate" in " ".join(refused.output.split())
