"""The presets of the papers, value by value: docs/reference/published-values.md against the code."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mango_grader import SearchOptions
from mango_grader.automl.search_space import SearchSpace
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.presets import PRESETS

PAGE = (Path(__file__).parents[2] / "docs/reference/published-values.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Row:
    """A value that a paper prints ("not stated" where it prints none), ours, and where it stands or why it differs."""

    setting: str
    published: str
    ours: str
    where: str


def tables() -> Iterator[tuple[str, str, list[Row]]]:
    """Yield each method and preset with its rows."""
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        named = re.match(r"`([\w-]+)` with `([\w-]+)`\n", section)
        assert named is not None, section.partition("\n")[0]
        rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| `(.+?)` \| (.+?) \|$", section, re.MULTILINE)
        assert len(rows) == section.count("\n| ") - 1, f"{named[0]}: a row that is no row"
        yield named[1], named[2], [Row(*row) for row in rows]


TABLES = list(tables())
# MNet's training, that of `enas`, is the common one of the preset.
PUBLISHED = ["enas", *PRESETS["paper"].setups]


def value(config: RunConfig, name: str) -> Any:
    path = name.split(".")
    place: Any = config.to_dict()
    for part in ["search", *path] if path[0] in ("method", "space") else path:
        place = place[part]
    return place


@pytest.mark.parametrize(("method", "preset", "rows"), TABLES, ids=[" ".join(table[:2]) for table in TABLES])
def test_the_table_of_published_values_says_what_the_preset_has(method: str, preset: str, rows: list[Row]) -> None:
    config = SearchOptions(data=".", preset=preset, method=method).config()
    found = json.loads(json.dumps({row.setting: value(config, row.setting) for row in rows}))
    assert found == {row.setting: json.loads(row.ours) for row in rows}


@pytest.mark.parametrize(("method", "preset", "rows"), TABLES, ids=[" ".join(table[:2]) for table in TABLES])
def test_what_differs_from_the_paper_says_why(method: str, preset: str, rows: list[Row]) -> None:
    assert len({row.setting for row in rows}) == len(rows)
    for row in rows:
        printed = row.published.strip("`")
        differs = row.published != "not stated" and json.loads(printed) != json.loads(row.ours)
        assert not differs or "ours" in row.where, row


def test_every_published_method_and_every_preset_of_the_papers_has_a_table() -> None:
    assert {preset for preset in PRESETS if preset.startswith("paper")} == {preset for _, preset, _ in TABLES}
    assert set(PUBLISHED) == {method for method, preset, _ in TABLES if preset == "paper"}


@pytest.mark.parametrize("method", [name for name in PUBLISHED if name != "ms-ranas"])
@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith("paper")])
def test_fault_three_exits_where_the_paper_has_one_classifier(method: str, preset: str) -> None:
    search = SearchOptions(data=".", preset=preset, method=method).config().search
    assert search is not None
    space = SearchSpace(search.space)
    assert len(space.graph.exits) == len(space.final.graph.exits) == 1


def test_ms_ranas_keeps_an_exit_behind_each_layer_but_the_first() -> None:
    search = SearchOptions(data=".", preset="paper", method="ms-ranas").config().search
    assert search is not None
    space = SearchSpace(search.space)
    assert (len(space.graph.exits), len(space.final.graph.exits)) == (4, 6)


def test_nas_bench_201_has_15625_cells() -> None:
    config = SearchOptions(data=".", preset="paper", method="random", space="nasbench201").config()
    assert config.search is not None
    count = 1
    for decision in SearchSpace(config.search.space).decisions:
        count *= decision.options
    assert count == 15_625
