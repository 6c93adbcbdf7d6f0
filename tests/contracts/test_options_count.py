"""An option of a search changes what is searched, or is refused in one line: for every method."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from cases import METHODS
from click.testing import CliRunner
from mixed import MixedConfig

from mango_grader import SearchOptions
from mango_grader.automl.cost import GraphCost
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.methods import MethodSettings
from mango_grader.automl.objective import Objective
from mango_grader.automl.search import build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.progress import SilentProgress
from mango_grader.settings import plain
from mango_grader.training.batches import Batches, Examples
from mango_grader.workflow.config import SearchConfig

SPACE = SearchSpace(MixedConfig(8, 8, 3))
# A price under which what is cheap is not what has few multiply-adds.
SLOW = GraphCost(SPACE, "ms", lambda op, inputs: 1.0 + 1e6 / (1.0 + op.macs(inputs)))
# What the suites' settings lack to show it: gamma follows the cost of what is left; three scores must not tie.
ENOUGH = {"dso": ["method.gamma=0.5"], "random": ["method.epochs=8", "method.weights.lr=0.3"]}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--metric balanced_accuracy": {"metric": "balanced_accuracy"},
    "--metric kappa": {"metric": "kappa"},
    "--over last": {"over": "last"},
    "--over area": {"over": "area"},
    "--cost latency": {"cost": "latency"},
    "--cost latency --over area": {"cost": "latency", "over": "area"},
}


def asked(method: str, options: Mapping[str, Any], settings: Sequence[str] = ()) -> SearchConfig:
    """Return the search that the options ask for, on the settings of the contract suites; raises UsageError."""
    given = [*written(plain(METHODS[method])), *ENOUGH.get(method, ()), *settings]
    config = SearchOptions(data=".", method=method, settings=given, **options).config()
    assert config.search is not None
    return config.search


def written(values: Mapping[str, Any], prefix: str = "method.") -> Iterator[str]:
    """Yield settings as --set takes them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from written(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={str(value).lower() if isinstance(value, bool) else value}"


@cache
def computed(method: str, settings: MethodSettings, objective: Objective, cost: str) -> tuple[Any, ...]:
    """Search, and return all that came of it: figures, result and preference."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [28, 12, 8])[rng.permutation(48)]
    images = rng.integers(0, 60, (48, 8, 8, 3), dtype=np.uint8)
    images[np.arange(48), :, :, labels] += 120
    parts = [Examples(images, labels, rows) for rows in np.split(np.arange(48), [24])]
    problem = SearchProblem(SPACE, objective, SLOW if cost == "latency" else None)
    search = build_search(method, settings, problem, SearchData(Batches(parts[0], 8, 0), parts[1]), seed=0)
    found = search.run(SilentProgress())
    # What a candidate costs is always recorded, whether the search looks at it or not.
    history = [{name: value for name, value in row.items() if name != "cost"} for row in search.history]
    return history, found, {name: part.tolist() for name, part in search.method.preference().items()}


def outcome(method: str, search: SearchConfig) -> tuple[Any, ...]:
    return computed(method, search.method.settings, search.objective, search.cost)


def refusal(method: str, options: Mapping[str, Any], settings: Sequence[str] = ()) -> str | None:
    """Return the line that refuses the options; None where they are taken."""
    try:
        asked(method, options, settings)
    except UsageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_an_option_changes_the_search_or_is_refused(method: str, option: str) -> None:
    options = OPTIONS[option]
    if line := refusal(method, options):
        assert line.startswith("--cost latency: ")
        assert len(line.splitlines()) == 1
        return
    less = {name: value for name, value in options.items() if name != "cost"} if len(options) > 1 else {}
    assert outcome(method, asked(method, options)) != outcome(method, asked(method, less))


@pytest.mark.parametrize("method", METHODS)
def test_what_a_refused_cost_names_makes_it_count(method: str) -> None:
    line = refusal(method, {"cost": "latency"}) or ""
    for setting in re.findall(r"method\.\S+=[\w.]+", line):
        counts = asked(method, {"cost": "latency"}, [setting])
        assert outcome(method, counts) != outcome(method, replace(counts, cost="macs"))
    assert not line or "--over area" in line


def test_the_command_line_refuses_with_exit_code_2() -> None:
    result = CliRunner().invoke(main, ["search", "--data", ".", "--method", "random", "--cost", "latency"])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--over area" in result.stderr
