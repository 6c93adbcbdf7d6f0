"""The configuration of a line: one TOML file, `line.toml`, written by `conveyor calibrate` and edited by hand."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mango_grader.errors import UsageError
from mango_grader.files import write_text
from mango_grader.line.belt import Axes, Belt, Camera
from mango_grader.line.crops import CropConfig
from mango_grader.line.finders import FINDERS, FinderSettings
from mango_grader.line.grading.settings import GradingConfig
from mango_grader.line.outlets import OutletsConfig
from mango_grader.line.sinks import SINKS, SinkSettings
from mango_grader.line.tracking.settings import TrackingConfig
from mango_grader.settings import Section, checked_section, plain
from mango_grader.text import listed, one_line

T = TypeVar("T", bound=Section)

SECTIONS: Mapping[str, type[Section]] = {
    "camera": Camera,
    "belt": Belt,
    "tracking": TrackingConfig,
    "crops": CropConfig,
    "grading": GradingConfig,
    "outlets": OutletsConfig,
}
"""The sections of the file, beside `[finder]` and `[[sinks]]`."""


@dataclass(frozen=True)
class LineConfig:
    """Everything that is set for one line.

    Attributes:
        camera: its frames and its scale.
        belt: how it moves through the frames.
        finder: how fruit are found, settings of a finder in `FINDERS`.
        tracking: how fruit are followed.
        crops: how the image of one fruit is cut from a frame.
        grading: how fruit are graded.
        outlets: which fruit go to which outlet.
        sinks: where decisions go, settings of sinks in `SINKS`.

    Example:
        >>> tables = {
        ...     "camera": {"width": 1280, "height": 720},
        ...     "belt": {"direction": "left", "decision_line": 900},
        ...     "finder": {"kind": "whole-frame"},
        ... }
        >>> config = LineConfig.from_dict(tables)  # `read_config("line.toml")` reads them from a file
        >>> config.axes.lane(across=120.0)
        1
    """

    camera: Camera
    belt: Belt
    finder: FinderSettings
    tracking: TrackingConfig = TrackingConfig()
    crops: CropConfig = CropConfig()
    grading: GradingConfig = GradingConfig()
    outlets: OutletsConfig = field(default_factory=OutletsConfig)
    sinks: tuple[SinkSettings, ...] = ()

    def __post_init__(self) -> None:
        names = [sink.name for sink in self.sinks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"sinks: two are called {twice}; give each a name of its own")

    @property
    def axes(self) -> Axes:
        """Positions along and across the belt."""
        return Axes(self.camera, self.belt)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as in the file; settings that are None are left out."""
        kinds = {cls: kind for registry in (FINDERS, SINKS) for kind, cls in registry.items()}
        tables: dict[str, Any] = {name: _without_none(plain(getattr(self, name))) for name in SECTIONS}
        tables["finder"] = {"kind": kinds[type(self.finder)], **_without_none(plain(self.finder))}
        tables["sinks"] = [{"kind": kinds[type(sink)], **_without_none(plain(sink))} for sink in self.sinks]
        return tables

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> "LineConfig":
        """Rebuild from plain values.

        Args:
            tables: by the names of the sections, as `to_dict` returns them.

        Raises:
            UsageError: a section or setting is unknown, missing or out of its range; one line names it.
        """
        if unknown := sorted(tables.keys() - SECTIONS.keys() - {"finder", "sinks"}):
            known = ", ".join([*SECTIONS, "finder", "sinks"])
            raise UsageError(f"no section is called {one_line(listed(unknown))}; there are {known}")
        if missing := [name for name in ("camera", "belt", "finder") if name not in tables]:
            raise UsageError(f"the section {missing[0]} is missing; `mango-grader conveyor calibrate` writes it")
        sections: dict[str, Any] = {
            name: checked_section(kind, tables[name], name) for name, kind in SECTIONS.items() if name in tables
        }
        sections["finder"] = _of_kind(FINDERS, tables["finder"], "finder")
        sinks = tables.get("sinks", [])
        if not isinstance(sinks, list):
            raise UsageError("sinks: write each as a table of its own, [[sinks]]")
        sections["sinks"] = tuple(_of_kind(SINKS, sink, f"sinks[{n}]") for n, sink in enumerate(sinks))
        return cls(**sections)


def read_config(path: str | os.PathLike[str]) -> LineConfig:
    """Read a configuration.

    Args:
        path: of a TOML file.

    Raises:
        UsageError: there is no such file, it is no TOML, or something in it cannot be used; one line names it.
    """
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {one_line(str(error))}") from error
    try:
        return LineConfig.from_dict(tables)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def set_in_config(path: str | os.PathLike[str], section: str, name: str, value: str | float | int | bool) -> None:
    """Set one value in a configuration; everything else stays as it was written, comments included.

    Args:
        path: of a TOML file that `read_config` reads.
        section: in which it is.
        name: of the setting.
        value: that it gets.

    Raises:
        UsageError: the file cannot be read or written, or could not be used with this value; it stays as it was.
    """
    import tomlkit

    read_config(path)
    document = tomlkit.parse(Path(path).read_text(encoding="utf-8"))
    document.setdefault(section, tomlkit.table())[name] = value
    LineConfig.from_dict(document.unwrap())
    write_text(path, tomlkit.dumps(document))


def _of_kind(registry: Mapping[str, type[T]], table: Any, where: str) -> T:
    kind = table.get("kind") if isinstance(table, dict) else None
    if not isinstance(kind, str) or kind not in registry:
        found = "its kind is missing" if kind is None else f"no kind is called {one_line(str(kind))[:40]}"
        raise UsageError(f"{where}: {found}; there are {', '.join(registry)}")
    settings = {name: value for name, value in table.items() if name != "kind"}
    return checked_section(registry[kind], settings, where)


def _without_none(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _without_none(value) for name, value in values.items() if value is not None}
    return [_without_none(value) for value in values] if isinstance(values, list) else values
