"""An option of a search changes what is searched, or is refused in one line: for every method."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from cases import METHODS
from click.testing import CliRunner
from mixed import MixedConfig

from mango_grader import SearchOptions
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import GraphCost
from mango_grader.automl.evaluate import Evaluator, SearchProblem
from mango_grader.automl.methods import MethodSettings
from mango_grader.automl.objective import Objective
from mango_grader.automl.search import build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.progress import SilentProgress
from mango_grader.ranges import ranges_of
from mango_grader.settings import plain
from mango_grader.training.batches import Batches, Examples
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.search_config import SearchConfig

SPACE = SearchSpace(MixedConfig(8, 8, 3))
# A price under which what is cheap is not what has few multiply-adds.
SLOW = GraphCost(SPACE, "ms", lambda op, inputs: 1.0 + 1e6 / (1.0 + op.macs(inputs)))
# What the suites' settings lack to show it in a few steps: scores that differ, something to prune and to drop.
_COMMON = ("method.held_out=0.5", "method.weights.lr=0.3")
# Settings that take the place of another.
BESIDE = {"method.keep": ["method.gamma=null"]}
_LONGER = ["method.epochs=6"]
ENOUGH = {
    "random": _LONGER,
    "spos": _LONGER,
    "enas": ["method.epochs=2", "method.steps=6"],
    "tnas-os": [*_LONGER, "method.vae.steps=3"],
    "tnas-g": ["method.epochs=2", "method.binary.lr=0.5", "method.vae.steps=3"],
    "dso": ["method.gamma=0.5"],
    "betanas": ["method.drop_below=0.95"],
}
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
    preset = set(written(plain(PRESETS["quick"].settings(method))))
    suite = [each for each in written(plain(METHODS[method])) if each not in preset]
    given = [*suite, *_COMMON, *ENOUGH.get(method, ()), *settings]
    config = SearchOptions(data=".", method=method, settings=given, **options).config()
    assert config.search is not None
    return config.search


def written(values: Mapping[str, Any], prefix: str = "method.") -> Iterator[str]:
    """Yield settings as --set takes them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from written(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={json.dumps(value)}"


@dataclass
class Recorded:
    """An evaluator that keeps what it was asked and what it answered."""

    evaluator: Evaluator
    scores: list[tuple[Architecture, float]] = field(default_factory=list)

    def score(self, architecture: Architecture) -> float:
        self.scores.append((architecture, self.evaluator.score(architecture)))
        return self.scores[-1][1]


@cache
def computed(method: str, settings: MethodSettings, objective: Objective, cost: str) -> tuple[Any, ...]:
    """Search, and return all that came of it: figures, scored candidates, result and preference."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [28, 12, 8])[rng.permutation(48)]
    images = rng.integers(0, 60, (48, 8, 8, 3), dtype=np.uint8)
    images[np.arange(48), :, :, labels] += 120
    held_out = max(1, round(48 * settings.held_out))
    parts = [Examples(images, labels, rows) for rows in np.split(np.arange(48), [48 - held_out])]
    problem = SearchProblem(SPACE, objective, SLOW if cost == "latency" else None)
    search = build_search(method, settings, problem, SearchData(Batches(parts[0], 8, 0), parts[1]), seed=0)
    asked = search.evaluator = Recorded(search.evaluator)
    found = search.run(SilentProgress())
    # What a candidate costs is always recorded, whether the search looks at it or not.
    history = [{name: value for name, value in row.items() if name != "cost"} for row in search.history]
    return history, asked.scores, found, {name: part.tolist() for name, part in search.method.preference().items()}


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


def changes(part: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield every setting by name with another value that it may have."""
    hints, ranges = get_type_hints(type(part)), ranges_of(type(part))
    for each in fields(part):
        name, value = f"{prefix}{each.name}", getattr(part, each.name)
        if is_dataclass(value):
            yield from changes(value, f"{name}.")
        elif get_origin(hints[each.name]) is Literal:
            yield name, next(other for other in get_args(hints[each.name]) if other != value)
        elif isinstance(value, bool):
            yield name, not value
        else:
            first = value[0] if isinstance(value, tuple) else value
            allowed = ranges[each.name]
            tried = (first // 2, 2 * first, first + 1) if isinstance(first, int) else ((first or 0.0) / 10, 0.5, 0.1)
            other = next(number for number in tried if number != first and (allowed is None or number in allowed))
            yield name, [other, *value[1:]] if isinstance(value, tuple) else other


# What several methods hand to the same code as a whole is changed for one of them.
_ONCE = {"method.weights.": "ms-ranas", "method.vae.": "tnas-os", "method.evolution.": "spos"}
SETTINGS = [
    pytest.param(method, name, value, id=f"{method} {name}={value}")
    for method, settings in METHODS.items()
    for name, value in changes(settings, "method.")
    if all(method == one or not name.startswith(part) for part, one in _ONCE.items())
]


@pytest.mark.parametrize(("method", "name", "value"), SETTINGS)
def test_a_setting_changes_the_search_or_is_refused(method: str, name: str, value: Any) -> None:
    setting = f"{name}={json.dumps(value)}"
    if line := refusal(method, {}, [setting, *BESIDE.get(name, ())]):
        assert line.startswith(f"--set {setting} would be ignored: "), line
        assert len(line.splitlines()) == 1
        return
    assert outcome(method, asked(method, {}, [setting, *BESIDE.get(name, ())])) != outcome(method, asked(method, {}))


def test_the_command_line_refuses_with_exit_code_2() -> None:
    result = CliRunner().invoke(main, ["search", "--data", ".", "--method", "random", "--cost", "latency"])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--over area" in result.stderr
