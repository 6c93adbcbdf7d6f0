"""Which images belong together, such as those of one fruit: from a column of a CSV or a pattern on file names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from mango_grader.datasets.dataset import Grouping
from mango_grader.datasets.reading.files import Files, find_images
from mango_grader.datasets.reading.tables import read_table
from mango_grader.errors import UsageError
from mango_grader.text import about

__all__ = ["NO_GROUPS", "grouping_by", "read_groups", "table_of_groups"]

NO_GROUPS = "none"
"""What `--group-by` says where each image is a group of its own."""

_PATTERN = "re:"


def grouping_by(group_by: str | None) -> Grouping:
    """Return how it is known which images belong together.

    Args:
        group_by: as `read_groups` takes it.
    """
    if group_by is None:
        return "found"
    return "none" if group_by == NO_GROUPS else "given"


def table_of_groups(group_by: str | None) -> str | None:
    """Return the CSV that `--group-by` names, relative to the data folder; None if it names none.

    Args:
        group_by: as `read_groups` takes it.

    Example:
        >>> table_of_groups("groups.csv:fruit")
        'groups.csv'
    """
    if group_by is None or group_by.startswith(_PATTERN) or ":" not in group_by:
        return None
    return group_by.rpartition(":")[0].replace("\\", "/").removeprefix("./")


def read_groups(
    files: Files, paths: Sequence[str], rows: Mapping[str, Mapping[str, str]] | None, group_by: str | None
) -> tuple[list[str], list[str]]:
    """Return the group of each image, and findings; an image without one is its own group, named by its path.

    Args:
        files: what lies in the data folder.
        paths: images relative to it, N of them.
        rows: the label CSVs' values by path and column title; None where folders give the labels.
        group_by: COLUMN of the label CSV, FILE.csv:COLUMN, or re:PATTERN on file names (its first group, or the
            whole match); "none" makes each image its own group, and so does None, for groups that are found later.

    Returns:
        N group names, and at most one line about images without a group.

    Raises:
        UsageError: `group_by` names no column, no file, no valid pattern, or no image; says what there is.
    """
    if group_by is None or group_by == NO_GROUPS:
        return list(paths), []
    if group_by.startswith(_PATTERN):
        found = _by_pattern(paths, group_by.removeprefix(_PATTERN))
    elif ":" in group_by:
        found = _by_table(files, paths, group_by)
    else:
        found = _by_column(files, rows, group_by)
    groups = [found.get(path, "").strip() or None for path in paths]
    if not any(groups):
        raise UsageError(f"--group-by {group_by} matches none of the {len(paths)} images")
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
        raise UsageError(
            f"--group-by {column}: the labels come from folders, not from a CSV; use FILE.csv:COLUMN{_offer(files)}"
        )
    columns = next(iter(rows.values()), {})
    if column not in columns:
        raise UsageError(f"--group-by {column}: the label CSV has no such column; it has: {', '.join(columns)}")
    return {path: values[column] for path, values in rows.items()}


def _by_table(files: Files, paths: Sequence[str], group_by: str) -> dict[str, str]:
    file, _, column = group_by.rpartition(":")
    name = table_of_groups(group_by)
    if name is None or name not in files.tables:
        raise UsageError(f"--group-by {group_by}: no such CSV in {files.root}{_offer(files)}")
    table = read_table(files.root / name)
    if column not in table.columns:
        raise UsageError(f"--group-by {group_by}: no such column; it has: {', '.join(table.columns)}")
    if table.id_column is None:
        raise UsageError(f"--group-by {group_by}: {file} needs a column path or image_id to name the images")
    values = table.columns.index(column)
    pairs = zip(find_images(paths, table.ids), table.rows, strict=True)
    return {path: row[values] for path, row in pairs if path is not None}


def _offer(files: Files) -> str:
    if not files.tables:
        return " (there is no CSV)"
    titles = (f"{name} ({', '.join(read_table(files.root / name).columns)})" for name in files.tables)
    return f"; there is: {', '.join(titles)}"
