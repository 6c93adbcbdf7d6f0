"""Writing `line.toml`: a configuration with a comment for each value that was found, to be edited by hand."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Item, Table

from mango_grader.errors import UsageError
from mango_grader.files import digest, write_text
from mango_grader.line.calibration.calibrate import Calibration, Finding
from mango_grader.text import one_line

_MARK = "# Written by mango-grader conveyor calibrate. Digest of what follows: "
_COMMENTS = {
    "camera": "The camera: size of its frames, and millimetres on the belt per pixel.",
    "belt": "The belt, in pixels: positions along it count from where fruit come in, positions across it "
    "from the top or the left.",
    "finder": "How fruit are found.",
}
_LEFT_OUT = ("crops", "grading", "outlets", "sinks", "tracking")
_WIDE = 6  # elements from which an array takes several lines


def check_out(path: str | os.PathLike[str], *, force: bool) -> None:
    """Raise `UsageError` unless a configuration may be written to `path`.

    Args:
        path: of the file to write; one that exists must be ours and unchanged.
        force: whether any file may be replaced.
    """
    target = Path(path)
    if target.suffix.lower() != ".toml":
        raise UsageError(f"{path}: a configuration is written as .toml")
    if target.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if force or not os.path.lexists(target):
        return
    try:
        text = target.read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = ""
    if not text.startswith(_MARK):
        raise UsageError(f"{path} exists, and mango-grader did not write it; choose another name or add --force")
    head, _, body = text.partition("\n")
    if head.removeprefix(_MARK) != digest(body.encode())[:16]:
        raise UsageError(
            f"{path} was edited since it was written; choose another name, or add --force to lose the edits"
        )


def write_config(path: str | os.PathLike[str], calibration: Calibration) -> None:
    """Write the configuration of a calibration, whole or not at all.

    Args:
        path: of the TOML file.
        calibration: what to write.
    """
    body = config_text(calibration)
    write_text(path, f"{_MARK}{digest(body.encode())[:16]}\n{body}")


def config_text(calibration: Calibration) -> str:
    """Return a configuration as TOML: how each value is known is a comment; default sections are left out.

    Args:
        calibration: what to write.
    """
    tables = calibration.config.to_dict()
    notes = {finding.name: finding for finding in calibration.findings}
    document = tomlkit.document()
    document.add(tomlkit.comment("Change anything by hand; lanes and lines are drawn on the page beside this file."))
    for name in (name for name in tables if name not in _LEFT_OUT):
        document.add(tomlkit.nl())
        document.add(tomlkit.comment(_COMMENTS[name]))
        document.add(name, _table(name, tables[name], notes))
    return tomlkit.dumps(document)


def _table(section: str, values: Mapping[str, Any], notes: Mapping[str, Finding]) -> Table:
    table = tomlkit.table()
    lists = {name: value for name, value in values.items() if _is_tables(value)}
    for name, value in values.items():
        if name in lists or value == []:
            continue
        item = _item(value)
        note = notes.get(f"{section}.{name}")
        if note is not None:
            item.comment(_comment(note))
        table.add(name, item)
    for name, rows in lists.items():
        array = tomlkit.aot()
        for row in rows:
            array.append(_table(f"{section}.{name}", row, {}))
        table.add(name, array)
    return table


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _item(value: Any) -> Item:
    if isinstance(value, list) and (len(value) > _WIDE or (value and isinstance(value[0], list))):
        array = tomlkit.array()
        array.extend(value)
        return array.multiline(len(value) > 1 and isinstance(value[0], list))
    item: Item = tomlkit.item(value)
    return item


def _comment(finding: Finding) -> str:
    return one_line(f"{finding.how}" if finding.sure is None else f"{finding.how}; {in_words(finding.sure)}")


def in_words(sure: float | None) -> str:
    """Return how sure a value is, in words; None is a value that was given."""
    if sure is None:
        return "given"
    return next(words for least, words in _WORDS if sure >= least)


_WORDS: Sequence[tuple[float, str]] = ((0.75, "sure"), (0.45, "fairly sure"), (0.0, "check it"))
