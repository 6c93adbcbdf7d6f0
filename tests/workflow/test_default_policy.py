"""A run with enough validation fruit stops early by default, as far as the risk is bounded; every place says so."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from distillation import teachers
from tiny import write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.runtime import Bundle, Grader
from mango_grader.runtime.exits import stop_exits
from mango_grader.workflow.run.folder import RunFolder

RISK = "risk:eps=0.05,delta=0.1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, str]:
    """Train on 315 fruit, some 47 of them for validation; return the run and what was printed."""
    folder = tmp_path_factory.mktemp("default")
    architecture = teachers.write_architecture(folder / "architecture.json")
    data = write_fruit(folder / "photos", per_class=105)
    arguments = ["train", "--architecture", architecture, "--data", data, "--out", folder / "run", "--device", "cpu"]
    result = CliRunner().invoke(main, [*map(str, arguments), "--set", "train.epochs=2"])
    assert result.exit_code in (0, 3), result.output  # 3: two epochs may be no better than guessing
    return RunFolder(folder / "run"), result.output


def test_the_end_of_a_run_says_which_policy_is_the_default_and_why(run: tuple[RunFolder, str]) -> None:
    folder, output = run
    info = Bundle.open(folder.model).manifest.calibration
    assert info is not None
    assert info.groups >= 45
    said = f"{RISK}: {info.groups} calibration fruit bound what stopping early costs"
    assert f"default exit policy: {said}" in " ".join(output.split())
    assert f"default policy {said}" in " ".join(CliRunner().invoke(main, ["info", str(folder.path)]).output.split())
    assert f"Default exit policy: {RISK} ({info.groups} calibration fruit" in Bundle.open(folder.model).card
    assert f"“{RISK}” unless told otherwise: {info.groups} calibration fruit" in folder.report.read_text()


def test_the_default_is_measured_beside_the_others(run: tuple[RunFolder, str]) -> None:
    metrics = read_json(run[0].metrics)
    for part in ("val", "test"):
        assert [each["name"] for each in metrics[part]["policies"]] == ["full", "threshold", RISK]
    assert metrics["calibration"]["signal"] in {"confidence", "margin", "entropy", "agreement"}


def test_the_kept_exits_are_those_of_the_bundle(run: tuple[RunFolder, str]) -> None:
    folder, _ = run
    rows = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    grader = Grader.load(folder.model, "cpu")
    assert str(grader.policy).startswith(RISK)
    answers = np.moveaxis(np.array([row["probabilities"] for row in rows], np.float32), 0, 1)
    np.testing.assert_array_equal([row["exit"] for row in rows], stop_exits(grader.policy, answers) + 1)
