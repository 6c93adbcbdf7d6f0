"""The limit that a preset has for searches that name none."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import TINY

from mango_grader.automl.limits import Limits, fitted
from mango_grader.automl.search_space import SearchSpace
from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.presets import PRESETS


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Limits(max_macs=13_000_000)),
        ({"max_macs": "none"}, Limits()),
        ({"max_macs": 5_000_000}, Limits(max_macs=5_000_000)),
        ({"max_params": 350_000}, Limits(max_params=350_000)),
        ({"max_params": 350_000, "max_macs": "none"}, Limits(max_params=350_000)),
        ({"max_latency": 3.0}, Limits(max_latency=3.0)),
        ({"preset": "standard"}, Limits()),
        ({"preset": "paper"}, Limits()),
    ],
    ids=str,
)
def test_quick_caps_multiply_adds_where_no_limit_is_given(given: dict[str, object], expected: Limits) -> None:
    search = SearchOptions(data=".", **given).config().search
    assert search is not None
    assert search.limits == expected


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        (["--max-macs", "2M"], {"max_params": None, "max_macs": 2_000_000, "max_latency": None}),
        (["--max-macs", "1500k"], {"max_params": None, "max_macs": 1_500_000, "max_latency": None}),
        (["--max-macs", "none"], {"max_params": None, "max_macs": None, "max_latency": None}),
        (["--max-params", "350k"], {"max_params": 350_000, "max_macs": None, "max_latency": None}),
        ([], {"max_params": None, "max_macs": 13_000_000, "max_latency": None}),
    ],
    ids=str,
)
def test_the_plan_says_what_limits_the_result(
    option: list[str], kept: dict[str, int | None], fruit: Path, tmp_path: Path
) -> None:
    settings = [part for setting in (*TINY, "method.epochs=1") for part in ("--set", setting)]
    chosen = ["--size", "24", "--method", "enas", "--teacher", "none"]
    start = ["search", "--data", str(fruit), *chosen, "--plan-only", "--out"]
    result = CliRunner().invoke(main, [*start, str(tmp_path / "run"), *option, *settings])
    assert result.exit_code == 0, result.output
    assert read_json(tmp_path / "run" / "config.json")["search"]["limits"] == kept
    lines = [line for line in result.stderr.splitlines() if "plan: limited by" in line]
    assert len(lines) == any(kept.values())
    assert all(("--max-macs none lifts it" in line) == (not option) for line in lines)


@pytest.mark.parametrize("value", ["0", "-5", "13MB", "1.5", "", "k", "1e6", "none"])
def test_a_limit_that_is_none_is_refused_in_one_line(value: str, fruit: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    result = CliRunner().invoke(main, ["search", "--data", str(fruit), "--out", out, "--max-params", value])
    assert result.exit_code == 2
    assert "--max-params" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("kind", "narrowed"), [("dag", True), ("lite", False)])
def test_most_networks_of_quick_are_within_its_limit(kind: str, narrowed: bool) -> None:
    """An even draw of `dag` costs 23 M multiply-adds; `lite` must keep the widths of its ImageNet weights."""
    quick = PRESETS["quick"]
    config = quick.space(kind, 128, 128)
    space, rng = SearchSpace(fitted(config, quick.limits)), np.random.default_rng(1)
    assert (space.config.multiplier < 1) == narrowed
    assert np.mean([quick.limits.feasible(space, space.sample(rng)) for _ in range(40)]) > 0.6
