"""What every setting of a run must keep to: its range is declared, presets lie within it, and nothing else gets by."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mango_grader import SearchOptions
from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.cli import main
from mango_grader.ranges import Range, ranges_of
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.search_config import MethodConfig

# Every method in the space of its paper, and every space under random search: together they have every setting.
SEARCHES = [(method, METHODS[method].default_space) for method in METHODS] + [("random", space) for space in SPACES]
CHOSEN_FROM_A_LIST = {"method.order"}


@dataclass(frozen=True)
class Setting:
    """A number, or a list of numbers, under the name by which --set takes it."""

    name: str
    value: Any
    allowed: Range | None

    def outside(self) -> Iterator[str]:
        """Yield values that the range does not hold, as --set takes them: the nearest, one further, and no numbers."""
        assert self.allowed is not None
        low, high = self.allowed.low, self.allowed.high
        wrong = [low - 1, low if self.allowed.above else math.nextafter(low, -math.inf), math.nan, math.inf]
        if high is not None:
            wrong.append(high if self.allowed.below else high + 1)
        for number in wrong:
            text = json.dumps(int(number) if float(number).is_integer() else number)
            yield ",".join([*map(str, self.value[:-1]), text]) if isinstance(self.value, tuple) else text


def searched(method: str, space: str, preset: str = "quick") -> RunConfig:
    """Return a configuration in which every part is there."""
    return SearchOptions(
        data=".", preset=preset, method=method, space=space, teacher="resnet18", budget=60.0, fold=(1, 5),
        max_params=10**6, max_macs=10**9, max_latency=10.0,
    ).config()  # fmt: skip


def settings_of(part: Any, prefix: str = "") -> Iterator[Setting]:
    ranges = ranges_of(type(part))
    for field in fields(part):
        name, value = f"{prefix}{field.name}", getattr(part, field.name)
        if is_dataclass(value):
            yield from settings_of(value.settings if isinstance(value, MethodConfig) else value, f"{name}.")
        elif field.name in ranges:
            yield Setting(shortened(name), value, ranges[field.name])


def numbers_in(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the names of all numbers of a configuration as it is saved."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from numbers_in(value, f"{prefix}{key}.")
        elif any(isinstance(each, int | float) and not isinstance(each, bool) for each in each_of(value)):
            yield shortened(f"{prefix}{key}")


def shortened(name: str) -> str:
    return name.removeprefix("search.") if name.startswith(("search.method.", "search.space.")) else name


def each_of(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple | list) else (value,)


@pytest.mark.parametrize(("method", "space"), SEARCHES)
def test_every_number_has_a_range_with_a_lower_end(method: str, space: str) -> None:
    config = searched(method, space)
    found = {setting.name: setting for setting in settings_of(config)}
    assert set(numbers_in(config.to_dict())) - CHOSEN_FROM_A_LIST <= set(found)
    for name, setting in found.items():
        assert setting.allowed is not None, f"{name} has no range"
        assert math.isfinite(setting.allowed.low), name


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("method", "space"), SEARCHES)
def test_no_preset_lies_outside_its_ranges(method: str, space: str, preset: str) -> None:
    for setting in settings_of(searched(method, space, preset)):
        assert setting.allowed is not None
        assert all(each in setting.allowed for each in each_of(setting.value) if each is not None), setting.name


@pytest.mark.parametrize(("method", "space"), SEARCHES)
def test_a_setting_outside_its_range_is_refused_in_one_line(method: str, space: str, tmp_path: Path) -> None:
    start = ["search", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--method", method, "--space", space]
    start += ["--teacher", "resnet18", "--fold", "1/5"]
    asked = [
        setting
        for setting in settings_of(searched(method, space))
        if (method, space) == SEARCHES[0] or setting.name.startswith(("method.", "space."))  # the rest all have alike
    ]
    for setting in asked:
        for value in setting.outside():
            result = CliRunner().invoke(main, [*start, "--set", f"{setting.name}={value}"])
            assert result.exit_code == 2, f"{setting.name}={value}: {result.output}"
            assert len(result.stderr.splitlines()) == 1
            assert setting.name.split(".")[-1] in result.stderr, result.stderr
    assert not (tmp_path / "run").exists()
