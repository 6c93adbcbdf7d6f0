"""A machine that gets busy in the middle of a run costs accuracy, but not all of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from tiny import TINY

from mango_grader.automl.timetable import Stopwatch
from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.workflow.hand_over import InheritedWeights
from mango_grader.workflow.run.folder import RunFolder

BUDGET = 600.0
SETTINGS = (*TINY, "method.epochs=5")


class Disturbed(Stopwatch):
    """A watch on which hours pass as soon as the search has ended."""

    out = Path()

    @property
    def seconds(self) -> float:
        return super().seconds + (10 * BUDGET if (self.out / "history.jsonl").exists() else 0.0)


def search(data: Path, out: Path, *more: str) -> Result:
    settings = [part for each in SETTINGS for part in ("--set", each)]
    options = ["--data", data, "--method", "enas", "--teacher", "none", "--size", 24, "--device", "cpu", *more]
    return CliRunner().invoke(main, [str(each) for each in ("search", "--out", out, *options, *settings)])


def test_a_search_that_took_all_the_time_still_ends_with_what_it_has_learned(
    fruit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside two busy processes a demo ended at chance, since two epochs from scratch were left."""
    out = tmp_path / "run"
    monkeypatch.setattr(Disturbed, "out", out)
    monkeypatch.setattr("mango_grader.workflow.start.Stopwatch", Disturbed)
    result = search(fruit, out, "--budget", f"{BUDGET:g}s", "--retrain-on-all")
    assert result.exit_code == 0, result.output
    assert read_json(out / "plan.json")["epochs"] == 0
    assert "no time is left to train" in result.stderr
    weights = InheritedWeights.load(out / "inherited.safetensors")
    assert weights is not None
    for trained in ("validated", "weights"):
        kept = load_file(out / f"{trained}.safetensors")
        assert all(value.equal(weights.state[name]) for name, value in kept.items())
    accuracy = read_json(out / "metrics.json")["val"]["exits"][-1]["accuracy"]["value"]
    assert accuracy >= 0.75, "colour tells these three classes apart"
    assert any("inherited from the search" in line for line in RunFolder(out).read_warnings())
