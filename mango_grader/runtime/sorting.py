"""Copies graded images into one folder per grade; nothing is overwritten and doing it twice changes nothing."""

import filecmp
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mango_grader import files
from mango_grader.runtime.records import Record

REVIEW, ERRORS = "_review", "_errors"


@dataclass(frozen=True)
class Sorted:
    """How many images were copied (or stood already), and the paths of those that could not be."""

    copied: int
    failed: tuple[str, ...]


def sort_into(
    folder: str | os.PathLike[str],
    records: Iterable[Record],
    classes: Sequence[str],
    review_below: float | None = None,
) -> Sorted:
    """Copy each record's file to `folder`/GRADE/, doubtful ones to _review/, those with an error to _errors/.

    A grade is doubtful if its confidence is less than `review_below`. Files of one name get a short digest of
    their path added. The same records sorted again find their copies and leave them.
    """
    names = folder_names(classes)
    taken: set[str] = set()
    copied, failed = 0, []
    for record in records:
        group = ERRORS if record.grade is None else names[record.grade]
        if record.confidence is not None and review_below is not None and record.confidence < review_below:
            group = REVIEW
        try:
            _copy(record.path, Path(folder, group), taken)
            copied += 1
        except OSError:
            failed.append(record.path)
    return Sorted(copied, tuple(failed))


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """Return a folder name for each class: the class's own where the file system and our own folders allow it."""
    names: dict[str, str] = {}
    taken = {REVIEW, ERRORS}
    for number, one in enumerate(classes):
        safe = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in one).strip(". ")
        if not safe or safe.casefold() in taken:
            safe = f"{safe or 'class'}-{number}"
        taken.add(safe.casefold())
        names[one] = safe
    return names


def _copy(source: str, folder: Path, taken: set[str]) -> None:
    if not os.path.isfile(source):  # noqa: PTH113  (a FIFO would be waited for)
        raise OSError(f"not a regular file: {source}")
    for name in _candidates(source):
        target = folder / name
        # Some file systems do not tell case apart, so names are kept apart without it.
        key = str(target).casefold()
        if key in taken:
            continue
        if not target.exists():
            with files.replacing(target) as temporary:
                shutil.copyfile(source, temporary)
                shutil.copystat(source, temporary)
        elif not filecmp.cmp(source, target, shallow=False):
            continue
        taken.add(key)
        return


def _candidates(source: str) -> Iterable[str]:
    stem, suffix = os.path.splitext(os.path.basename(source))  # noqa: PTH119, PTH122
    yield stem + suffix
    short = files.digest(os.fsencode(os.path.abspath(source)))[:8]  # noqa: PTH100
    yield f"{stem}-{short}{suffix}"
    number = 2
    while True:
        yield f"{stem}-{short}-{number}{suffix}"
        number += 1
