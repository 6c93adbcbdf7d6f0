"""Reference tables made of the types themselves.

`{methods}`, `{spaces}` and `{common-settings}` list settings, `{fields} PATH` the fields of one dataclass, and
`{run-folder}` the files of a run.
"""

import inspect
import json
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any

from docstring_parser import DocstringStyle, parse
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.ranges import allowed_values
from mango_grader.settings import plain
from mango_grader.workflow.config import Places, RunConfig, TeacherConfig
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.folder import RunFolder

_UNSET = object()


@dataclass(frozen=True)
class Setting:
    """One row of a table.

    Attributes:
        name: as `--set` takes it: "method.weights.lr".
        owner: the dataclass that declares it.
        field: its name there.
        allowed: what it may be, in words.
    """

    name: str
    owner: type
    field: str
    allowed: str


def settings_of(config: Any, prefix: str) -> Iterator[Setting]:
    """Yield every setting of a settings dataclass, those of the dataclasses in it included, in their order."""
    allowed = allowed_values(config)
    for field in fields(config):
        name, value = f"{prefix}.{field.name}", getattr(config, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            yield from settings_of(value, name)
        else:
            yield Setting(name, type(config), field.name, allowed[field.name] or kind_of(type(config), field.name))


def kind_of(owner: type, field: str) -> str:
    """Return in words of what type a field is: "number", "text", "list of numbers"."""
    return _in_words(typing.get_type_hints(owner)[field])


def _in_words(hint: Any) -> str:
    parts = [part for part in typing.get_args(hint) if part not in (NoneType, ...)]
    names = {str: "text", int: "whole number", float: "number", bool: "true | false", dict: "mapping", Any: "any value"}
    if hint in names:
        return names[hint]
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, parts))
    if typing.get_origin(hint) in (tuple, list) or getattr(typing.get_origin(hint), "__name__", "") == "Sequence":
        one = _in_words(parts[0])
        return f"list of {one}s" if one.endswith("number") else f"list of {one}"
    if getattr(typing.get_origin(hint), "__name__", "") in {"Mapping", "dict"}:
        return f"mapping of {_in_words(parts[0])} to {_in_words(parts[1])}"
    if typing.get_origin(hint) is not None:
        optional = " | null" if NoneType in typing.get_args(hint) else ""
        return " | ".join(dict.fromkeys(map(_in_words, parts))) + optional
    return getattr(hint, "__name__", str(hint))


def meaning(owner: type, field: str) -> str:
    """Return the bullet of a field, from the docstring of the class that declares it or of a base."""
    for kind in owner.__mro__:
        for bullet in parse(inspect.cleandoc(vars(kind).get("__doc__") or ""), DocstringStyle.GOOGLE).params:
            if bullet.arg_name == field and bullet.description:
                return " ".join(bullet.description.split())
    return ""


def _value(data: Mapping[str, Any], dotted: str) -> Any:
    found: Any = data
    for key in dotted.split("."):
        found = found.get(key, _UNSET) if isinstance(found, Mapping) else _UNSET
    return found


def defaults(name: str, by_preset: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the value of a setting, or one for each preset where they differ."""
    values = {preset: _value(data, name) for preset, data in by_preset.items()}
    written = {preset: f"`{json.dumps(value)}`" for preset, value in values.items() if value is not _UNSET}
    if len(set(written.values())) == 1:
        return next(iter(written.values()))
    grouped: dict[str, list[str]] = {}
    for preset, value in written.items():
        grouped.setdefault(value, []).append(preset)
    return "; ".join(f"{', '.join(presets)}: {value}" for value, presets in grouped.items())


def table(settings: Iterator[Setting], by_preset: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown table of settings; `by_preset` has the plain data of each preset's configuration."""
    rows = [
        (f"`{each.name}`", each.allowed, defaults(each.name, by_preset), meaning(each.owner, each.field))
        for each in settings
    ]
    return markdown(("setting", "what it may be", "default", "meaning"), rows)


def markdown(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def prose(documented: type) -> str:
    """Return what a class says of itself before its sections."""
    found = parse(inspect.cleandoc(documented.__doc__ or ""), DocstringStyle.GOOGLE)
    return "\n\n".join(filter(None, (found.short_description, found.long_description)))


def methods() -> str:
    """Return the reference of every search method."""
    parts = []
    for name, method in METHODS.items():
        refused = {kind: why for kind in SPACES if (why := method.check_space(SPACES[kind](64, 64, 2)))}
        able = [f"[`{kind}`](spaces.md#{kind})" for kind in SPACES if kind not in refused]
        spaces = "Every space." if not refused else ", ".join(able) + ". " + " ".join(refused.values())
        presets = {preset: {"method": plain(chosen.settings(name))} for preset, chosen in PRESETS.items()}
        parts.append(
            f"## {name}\n\n{prose(method)}\n\nPublished in\n: {method.paper}\n\n"
            f"Default space\n: [`{method.default_space}`](spaces.md#{method.default_space})\n\nSearches\n: {spaces}\n\n"
            + table(settings_of(PRESETS["quick"].settings(name), "method"), presets)
        )
    return "\n".join(parts)


def spaces() -> str:
    """Return the reference of every search space."""
    parts = []
    for kind in SPACES:
        of_preset = {name: preset.space(kind, *_pixels(name)) for name, preset in PRESETS.items()}
        quick = of_preset["quick"]
        decisions = quick.decisions()
        size = sum(math.log10(decision.options) for decision in decisions)
        parts.append(
            f"## {kind}\n\n{prose(type(quick))}\n\nPublished in\n: {quick.paper}\n\n"
            f"Size with the preset `quick`\n: {len(decisions)} decisions, some 10^{size:.0f} architectures\n\n"
            + table(settings_of(quick, "space"), {name: {"space": plain(space)} for name, space in of_preset.items()})
        )
    return "\n".join(parts)


def _pixels(preset: str) -> tuple[int, int]:
    config = SearchOptions(data=".", preset=preset).config()
    return config.data.height, config.data.width


def common_settings() -> str:
    """Return the settings that do not belong to a method or a space, one table for each part of a configuration."""
    here = Places(data="DIR")  # and not where the documentation is built
    configs = {preset: SearchOptions(data=".", preset=preset).config().at(here) for preset in PRESETS}
    config, teacher = configs["quick"], TeacherConfig("")
    by_preset = {name: {**plain(each), "teacher": plain(teacher)} for name, each in configs.items()}
    parts = (
        ("data", config.data),
        ("augment", config.augment),
        ("search", config.search),
        ("train", config.train),
        ("teacher", teacher),
    )
    tables = [
        f"## {name}\n\n{prose(type(part))}\n\n{table(_common(settings_of(part, name)), by_preset)}"
        for name, part in parts
    ]
    whole = f"## The whole run\n\n{prose(RunConfig)}\n\n{table(_of_whole_run(config), by_preset)}"
    return "\n".join([*tables, whole])


def _common(settings: Iterator[Setting]) -> Iterator[Setting]:
    """Leave out what the pages of methods and spaces list."""
    return (each for each in settings if not each.name.startswith(("search.method.", "search.space.")))


def _of_whole_run(config: RunConfig) -> Iterator[Setting]:
    """Yield the settings that stand in no part of a configuration."""
    allowed = allowed_values(config)
    for field in fields(config):
        if field.name not in ("data", "augment", "search", "train", "teacher", "network"):
            yield Setting(field.name, RunConfig, field.name, allowed[field.name] or kind_of(RunConfig, field.name))


def field_table(path: str) -> str:
    """Return the table of the fields of the dataclass at `path`: "mango_grader.runtime.Record"."""
    module, _, name = path.rpartition(".")
    kind = getattr(import_module(module), name)
    named = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    rows = [(f"`{field}`", kind_of(kind, field), meaning(kind, field)) for field in named if not field.startswith("_")]
    return markdown(("name", "type", "meaning"), rows)


def run_folder() -> str:
    """Return the table of a run's files: each is a property of `RunFolder`, whose docstring says what it holds."""
    folder = RunFolder(Path())
    named = {name: getattr(folder, name) for name, kept in vars(RunFolder).items() if isinstance(kept, property)}
    rows = [
        (f"`{path.as_posix()}`", inspect.cleandoc(vars(RunFolder)[name].__doc__ or ""))
        for name, path in named.items()
        if isinstance(path, Path) and path.parent.name != "checkpoints"
    ]
    return markdown(("file or folder", "what it holds"), rows)


class _Written(SphinxDirective):
    """Puts Markdown that a function writes where the directive stands."""

    has_content = False

    def written(self) -> str:
        """Return the Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse what is written as a part of the page, headings included."""
        return self.parse_text_to_nodes(self.written(), allow_section_headings=True)


class _Methods(_Written):
    def written(self) -> str:
        return methods()


class _Spaces(_Written):
    def written(self) -> str:
        return spaces()


class _CommonSettings(_Written):
    def written(self) -> str:
        return common_settings()


class _Fields(_Written):
    required_arguments = 1

    def written(self) -> str:
        return field_table(self.arguments[0])


class _RunFolder(_Written):
    def written(self) -> str:
        return run_folder()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("methods", _Methods)
    app.add_directive("spaces", _Spaces)
    app.add_directive("common-settings", _CommonSettings)
    app.add_directive("fields", _Fields)
    app.add_directive("run-folder", _RunFolder)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
