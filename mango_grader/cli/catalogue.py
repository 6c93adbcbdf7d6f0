"""`mango-grader methods` and `mango-grader spaces`: what can be searched, how, and with which settings."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.cli.options import json_option, print_json
from mango_grader.ranges import allowed_values
from mango_grader.workflow.presets import PRESETS

if TYPE_CHECKING:
    from rich.console import Console

    from mango_grader.automl.spaces import SpaceConfig
    from mango_grader.workflow.presets import Preset

_COMMON = "whatever the method; teacher.* with --teacher"
# What is printed with methods and spaces, or has an option of its own.
_ELSEWHERE = (
    "search.method.", "search.space.", "search.objective.", "search.limits.", "search.cost", "data.path",
    "data.group_by", "data.ordinal", "data.fold", "network", "init_from", "preset", "seed", "device", "budget",
    "retrain_on_all",
    "teacher.source",
)  # fmt: skip
_COLUMN = 44  # where what a setting may be begins, unless the setting is longer

_preset_option = click.option(
    "--preset", type=click.Choice(list(PRESETS)), default="quick", show_default=True, help="Whose settings to print."
)


@click.command()
@_preset_option
@json_option
def methods(preset: str, as_json: bool) -> None:
    """Print every search method: its paper, its settings with their allowed values, and the spaces it can search.

    Any setting can be given to `search` as --set method.NAME=VALUE. The settings are those of the preset; those that
    all methods have in common (training, augmentation, teacher) come last.
    """
    from mango_grader.settings import plain

    chosen = PRESETS[preset]
    spaces = {kind: _space(chosen, kind) for kind in SPACES}
    rows = [
        {
            "name": name,
            "paper": method.paper,
            "default_space": method.default_space,
            "home": method.default_space,  # its former name, for scripts that read it
            "spaces": {kind: method.check_space(space) for kind, space in spaces.items()},
            "settings": dict(_flat(plain(chosen.settings(name)), "method")),
            "allowed": _allowed(chosen.settings(name), "method"),
        }
        for name, method in METHODS.items()
    ]
    common = _common(preset)
    if as_json:
        print_json({"preset": preset, "methods": rows, "common": common})
    else:
        _print_methods(rows, common, preset)


@click.command()
@_preset_option
@json_option
def spaces(preset: str, as_json: bool) -> None:
    """Print every search space: its paper, size, settings with their allowed values, and the methods for it.

    Any setting can be given to `search` as --set space.NAME=VALUE. The settings are those of the preset.
    """
    from mango_grader.settings import plain

    chosen = PRESETS[preset]
    rows = []
    for kind in SPACES:
        space = _space(chosen, kind)
        decisions = space.decisions()
        rows.append(
            {
                "name": kind,
                "paper": space.paper,
                "decisions": len(decisions),
                "architectures_log10": round(sum(math.log10(decision.options) for decision in decisions), 2),
                "methods": {name: method.check_space(space) for name, method in METHODS.items()},
                "settings": dict(_flat(plain(space), "space")),
                "allowed": _allowed(space, "space"),
            }
        )
    if as_json:
        print_json({"preset": preset, "spaces": rows})
    else:
        _print_spaces(rows, preset)


def _space(preset: "Preset", kind: str) -> "SpaceConfig":
    return preset.space(kind, preset.setup.height, preset.setup.width)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield "method.weights.lr" and its value, for every setting that --set can change."""
    for key, value in settings.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, value


def _allowed(settings: object, prefix: str) -> dict[str, str]:
    """Return what every setting may be, in words; settings of which nothing can be said but their type are left out."""
    return {f"{prefix}.{name}": words for name, words in allowed_values(settings).items() if words}


def _common(preset: str) -> dict[str, Any]:
    """Return the settings besides a method's and a space's own, as a search with the default method has them."""
    from mango_grader.settings import plain
    from mango_grader.workflow.config import TeacherConfig
    from mango_grader.workflow.options import SearchOptions

    config = replace(SearchOptions(data=".", preset=preset).config(), teacher=TeacherConfig(""))
    words = {name: each for name, each in allowed_values(config).items() if each and not name.startswith(_ELSEWHERE)}
    settings = {name: value for name, value in _flat(plain(config)) if name in words}
    return {"name": "search and train", "paper": _COMMON, "settings": settings, "allowed": words}


def _print_methods(rows: list[dict[str, Any]], common: dict[str, Any], preset: str) -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console

    console = open_console()
    table = Table("space", *METHODS, box=None, pad_edge=False)
    for kind in SPACES:
        table.add_row(
            kind,
            *("default" if kind == row["default_space"] else "no" if row["spaces"][kind] else "yes" for row in rows),
        )
    console.print(table)
    for row in rows:
        for kind, why in row["spaces"].items():
            if why:
                console.print(f"{row['name']} on {kind}: {why}")
    for row in (*rows, common):
        _print_settings(console, row, preset)


def _print_spaces(rows: list[dict[str, Any]], preset: str) -> None:
    from rich.table import Table

    from mango_grader.cli.console import open_console

    console = open_console()
    table = Table("space", "decisions", "architectures", "searched by", box=None, pad_edge=False)
    for row in rows:
        able = [name for name, why in row["methods"].items() if why is None]
        searched_by = "every method" if len(able) == len(METHODS) else ", ".join(able)
        size = f"10^{row['architectures_log10']:.1f}"
        table.add_row(row["name"], str(row["decisions"]), size, searched_by)
    console.print(table)
    for row in rows:
        _print_settings(console, row, preset)


def _print_settings(console: "Console", row: Mapping[str, Any], preset: str) -> None:
    console.print(f"\n{row['name']}: {row['paper']}")
    console.print(f"  settings (preset {preset}), and what each may be:")
    for name, value in row["settings"].items():
        assignment, words = f"{name}={_written(value)}", row["allowed"].get(name, "")
        console.print(f"    {assignment:<{_COLUMN}}  {words}".rstrip(), soft_wrap=True)


def _written(value: Any) -> str:
    """Return a value as --set reads it."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
