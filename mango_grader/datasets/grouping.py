"""Which images belong together: from a column of a CSV or a pattern on file names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from mango_grader.datasets.listing import Files, about
from mango_grader.datasets.resolve import Resolver
from mango_grader.datasets.tables import read_table
from mango_grader.errors import UsageError

__all__ = ["group_of_each", "table_of_groups"]


def table_of_groups(group_by: str | None) -> str | None:
    """Return the CSV that `group_by` names, relative to the root; None if it names none."""
    if group_by is None or group_by.startswith("re:") or ":" not in group_by:
        return None
    return group_by.rpartition(":")[0].replace("\\", "/").removeprefix("./")


def group_of_each(
    files: Files,
    paths: Sequence[str],
    rows: Mapping[str, Mapping[str, str]] | None,
    group_by: str | None,
) -> tuple[list[str], list[str]]:
    """Return the group of each of `paths` and findings; an image without one is its own group, named by its path.

    `rows` are the label CSV's cells by path and column (None without such a CSV). Raises `UsageError` that lists
    what there is if `group_by` names no column, file, valid pattern or no image at all.
    """
    if group_by is None:
        return list(paths), []
    if group_by.startswith("re:"):
        found = _by_pattern(paths, group_by[3:])
    else:
        file, colon, column = group_by.rpartition(":")
        found = _by_table(files, paths, file, column) if colon else _by_column(files, rows, group_by)
    groups = [found.get(path, "").strip() or None for path in paths]
    if not any(groups):
        raise UsageError(f"--group-by {group_by} fits none of the {len(paths)} images")
    alone = [path for path, group in zip(paths, groups, strict=True) if group is None]
    findings = [about(alone, "image", f"without a group by {group_by}, each a group of its own")] if alone else []
    return [group or path for path, group in zip(paths, groups, strict=True)], findings


def _by_pattern(paths: Sequence[str], pattern: str) -> dict[str, str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--group-by re:{pattern} is not a valid pattern: {error}") from error
    matches = {path: expression.search(PurePosixPath(path).name) for path in paths}
    return {
        path: (match.group(1) if expression.groups else match.group()) or "" for path, match in matches.items() if match
    }


def _by_column(files: Files, rows: Mapping[str, Mapping[str, str]] | None, column: str) -> dict[str, str]:
    if rows is None:
        raise UsageError(f"--group-by {column}: the labels are folders, not a CSV; use FILE.csv:COLUMN{_offer(files)}")
    columns = next(iter(rows.values()), {})
    if column not in columns:
        raise UsageError(f"--group-by {column}: the label CSV has no such column; it has: {', '.join(columns)}")
    return {path: cells[column] for path, cells in rows.items()}


def _by_table(files: Files, paths: Sequence[str], file: str, column: str) -> dict[str, str]:
    name = table_of_groups(f"{file}:{column}")
    if name is None or name not in files.tables:
        raise UsageError(f"--group-by {file}:{column}: no such CSV in {files.root}{_offer(files)}")
    table = read_table(files.root / name, lambda cell: False)
    if column not in table.columns:
        raise UsageError(f"--group-by {file}:{column}: no such column; it has: {', '.join(table.columns)}")
    if table.id_column is None:
        raise UsageError(f"--group-by {file}:{column}: {file} needs a column path or image_id to name the images")
    ids, values = table.id_column, table.columns.index(column)
    resolver = Resolver(paths, [row[ids] for row in table.rows])
    named = ((resolver(row[ids]), row[values]) for row in table.rows)
    return {path: value for path, value in named if path is not None}


def _offer(files: Files) -> str:
    if not files.tables:
        return " (there is no CSV)"
    titles = (
        f"{name} ({', '.join(read_table(files.root / name, lambda cell: False).columns)})" for name in files.tables
    )
    return f"; there is: {', '.join(titles)}"
