"""Limits in whole runs: latency, and results whose width is fitted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny import TINY

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.latency import LatencyTable, default_path, predicted_latency
from mango_grader.automl.limits import Constraints, InfeasibleError, Limits
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.cli import main
from mango_grader.files import read_json, write_json
from mango_grader.progress import SilentProgress
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.constraints import within_latency
from mango_grader.workflow.options import SearchOptions

SETTINGS = ["--method", "enas", "--teacher", "none"] + [
    part for setting in (*TINY, "train.epochs=1", "method.epochs=1") for part in ("--set", setting)
]
# All its networks are of the same few operations, so that little has to be measured.
PLAIN = ["space.depth=2", "space.channels=4", "space.stem_channels=4", "space.kernels=[3]", "space.exits=1,2"]
PLAIN_SETTINGS = [*SETTINGS, *(part for setting in (*PLAIN, "space.reduce_at=[]") for part in ("--set", setting))]
SPACE = LayerwiseConfig(32, 32, 2, depth=1, channels=64, kernels=(3, 15), dilations=(1,), exits=(1,))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["search", *(str(argument) for argument in arguments)])


def test_latency_is_limited_and_counted_as_cost(fruit: Path, tmp_path: Path) -> None:
    options = ["--data", fruit, "--size", 24, "--max-latency", 500, "--over", "area", "--cost", "latency"]
    result = run(*options, "--out", tmp_path / "run", *PLAIN_SETTINGS)
    assert result.exit_code == 0, result.output
    assert "ms measured" in result.stderr
    rows = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    costs = [row["cost"] for row in rows if row["phase"] == "search-candidate"]
    assert costs
    assert all(0 < first < last < 500 for first, last in costs), "milliseconds, not MACs"


def test_an_impossible_latency_is_said_in_one_line(fruit: Path, tmp_path: Path) -> None:
    options = ["--data", fruit, "--size", 24, "--max-latency", 1e-6, "--out", tmp_path / "run"]
    result = run(*options, *PLAIN_SETTINGS)
    assert result.exit_code == 1, result.output
    assert "satisfies --max-latency 1e-06" in result.stderr
    assert "Traceback" not in result.output
    assert run(*options, *PLAIN_SETTINGS, "--max-latency", "0").exit_code == 2


def test_a_result_is_widened_to_its_limit(fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--data", fruit, "--size", 24, "--max-params", 9000, "--set", "search.fit_width=true", "--out", out]
    result = run(*options, *SETTINGS)
    assert result.exit_code == 0, result.output
    assert read_json(out / "space.json")["multiplier"] == 1, "nothing is narrowed before the search"
    assert read_json(out / "architecture.json")["space"]["multiplier"] > 1
    assert 6000 < read_json(out / "metrics.json")["test"]["exits"][-1]["params"] <= 9000


def test_what_is_returned_was_measured_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    small, large = (
        Architecture(SPACE, {"layer1.convolution": (kernel,), "layer1.skip": ("none",)}) for kernel in ("k3d1", "k15d1")
    )
    space = SearchSpace(SPACE)
    table = LatencyTable()
    assert Constraints(space, Limits(max_latency=1e9), predicted_latency(space, table))(large)
    quick, slow = (float(each[-1]) for each in table.measured([space.derive(small), space.derive(large)]))
    assert quick < slow
    kept = read_json(default_path())  # predictions of a tenth of the truth
    write_json(default_path(), {**kept, "factor": 1, "times": {name: t / 10 for name, t in kept["times"].items()}})
    table = LatencyTable()
    asked: list[Architecture] = []

    def constrained(limit: float) -> Constraints:
        return Constraints(space, Limits(max_latency=limit), predicted_latency(space, table))

    def find() -> Architecture:
        asked.append(next(each for each in (large, small) if between(each)))
        return asked[-1]

    between = constrained((quick + slow) / 2)
    assert within_latency(find, between, table, SilentProgress()) == small
    assert asked == [large, small]
    with pytest.raises(InfeasibleError):
        within_latency(lambda: small, constrained(quick / 2), table, SilentProgress())


def test_runs_from_before_these_settings_can_be_read() -> None:
    config = SearchOptions(data=".", max_params=5).config()
    data = config.to_dict()
    del data["search"]["cost"], data["search"]["fit_width"], data["search"]["limits"]["max_latency"]
    assert RunConfig.from_dict(data) == config
    latest = SearchOptions(data=".", max_latency=2.5, cost="latency", over="area").config()
    assert latest.search is not None
    assert RunConfig.from_dict(latest.to_dict()) == latest
    assert latest.search == replace(latest.search, limits=Limits(max_latency=2.5), cost="latency")
