"""Copies of graded images, in one folder per grade, and the list that tells them from the files of others."""

import filecmp
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.grading.items import Source, real_path
from mango_grader.runtime.grading.journal import Entry
from mango_grader.runtime.inference.records import Record

REVIEW, ERRORS = "_review", "_errors"
COPIES_LIST = ".mango-grader.json"
"""Name of the list: a folder that holds a file of this name is one of `--sort-into`."""

_KIND = "mango-grader copies 1"

_WAIT = 600.0  # seconds, for another process that sorts into the same folder


@dataclass(frozen=True)
class Copy:
    """A copy that we made.

    Attributes:
        source: the file that was copied.
        out: real path of the result file of the job that asked for the copy; None for a job without one.
    """

    source: Source
    out: str | None


@dataclass(frozen=True)
class Uncopied:
    """An image that could not be copied.

    Attributes:
        path: as its row shows it.
        reason: why it could not be copied.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Sorted:
    """The outcome of sorting.

    Attributes:
        copied: how many images have their copy now.
        failed: images that could not be copied.
    """

    copied: int
    failed: tuple[Uncopied, ...]


def check_folder(folder: str, inputs: Iterable[str]) -> None:
    """Raise `UsageError` unless copies can be sorted into `folder`: a folder that holds none of `inputs`.

    Args:
        folder: for the copies; need not exist.
        inputs: paths of the images to grade.
    """
    if os.path.lexists(folder) and not Path(folder).is_dir():
        raise UsageError(f"--sort-into {folder} is a file; name a folder")
    home = os.path.join(real_path(folder), "")  # noqa: PTH118
    if inside := next((path for path in inputs if real_path(path).startswith(home)), None):
        better = Path(folder, "sorted")
        raise UsageError(
            f"--sort-into {folder} holds {inside}, which is to be graded; choose another, such as {better}"
        )
    read_copies(Path(folder))


def read_copies(home: Path) -> dict[str, Copy]:
    """Return the copies in the folder `home` that are still as we made them, by their paths in it such as "A/1.jpg".

    Raises:
        UsageError: if the list is damaged or of a later version.
    """
    path = home / COPIES_LIST
    if not path.exists():
        return {}
    try:
        values: Any = files.read_json(path)
        if values["kind"] == _KIND:
            listed = {place: Copy(Source(**one["source"]), one["out"]) for place, one in values["copies"].items()}
            return {place: copy for place, copy in listed.items() if _stands(home / place, copy.source)}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UsageError(f"{path} is damaged or of a later version; choose another folder for --sort-into")


def write_copies(home: Path, copies: Mapping[str, Copy]) -> None:
    """Write the list of copies, atomically.

    Args:
        home: folder of the copies.
        copies: by their paths in the folder.
    """
    values = {"kind": _KIND, "copies": {place: asdict(one) for place, one in sorted(copies.items())}}
    files.write_bytes(home / COPIES_LIST, json.dumps(values, indent=0).encode("ascii"))


def sort_into(
    folder: str | os.PathLike[str],
    entries: Iterable[Entry],
    classes: Sequence[str],
    review_below: float | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Sorted:
    """Copy each entry's file to `folder`/GRADE/, images to review to _review/, images with an error to _errors/.

    Of files with the same name, all but one get a short digest of their path added. The folder keeps a list of the
    copies, so that sorting the same entries again changes nothing, and the copy of an image with another grade than
    before is moved. If an image was overwritten, and its row in `out` replaced, its earlier copy is deleted. Copies
    that were changed since, and files of others, are never overwritten, moved or deleted. A file that is no longer what
    was graded is not copied.

    Args:
        folder: for the copies.
        entries: rows of a journal.
        classes: of the model, in its order.
        review_below: confidence, 0..1; images with a less sure grade are copied to _review/. None copies none there.
        out: result file of the job, if it has one.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    busy = f"another process sorts into {home}; wait for it"
    with files.locked(home / ".mango-grader.lock", busy, _WAIT):
        result = None if out is None else real_path(os.fspath(out))
        return _Sorting(home, folder_names(classes), review_below, result).run(entries)


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """Return a folder name for each class: its own name, as far as file systems and our own folders allow it."""
    names: dict[str, str] = {}
    taken = {REVIEW, ERRORS}
    for number, one in enumerate(classes):
        safe = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in one).strip(". ")
        if not safe or safe.casefold() in taken:
            safe = f"{safe or 'class'}-{number}"
        taken.add(safe.casefold())
        names[one] = safe
    return names


@dataclass(frozen=True)
class _Step:
    """One image: the place of its copy, whether it is there already, and other copies of the image that we made.

    `same` are copies of its present content, `stale` copies of an earlier content that the same row had.
    """

    path: str
    source: Source
    place: str
    exists: bool
    same: tuple[str, ...]
    stale: tuple[str, ...]


class _Sorting:
    """One pass over a folder; `copies` are those that we made, by their paths in it such as "A/1.jpg"."""

    def __init__(self, home: Path, names: Mapping[str, str], review_below: float | None, out: str | None) -> None:
        self.home, self.names, self.review_below, self.out = home, names, review_below, out
        self.copies = read_copies(home)
        self._of: dict[str, list[str]] = {}
        for place, one in self.copies.items():
            self._of.setdefault(one.source.file, []).append(place)
        self._taken: set[str] = set()

    def run(self, entries: Iterable[Entry]) -> Sorted:
        steps, failed = [], []
        for entry in entries:
            if entry.source is None:
                failed.append(Uncopied(entry.record.path, "the image came without a file"))
            else:
                steps.append(self._step(entry.record, entry.source))
        for place in itertools.chain.from_iterable(step.stale for step in steps):
            with suppress(OSError):
                (self.home / place).unlink()
                del self.copies[place]
        # Copies are listed before they are made, so that a killed job leaves none that is not listed.
        planned = {step.place: Copy(step.source, self.out) for step in steps if not step.exists}
        write_copies(self.home, {**planned, **self.copies})
        copied = 0
        for step in steps:
            try:
                self._take(step)
                copied += 1
            except OSError as error:
                failed.append(Uncopied(step.path, _reason(error, step.path)))
        write_copies(self.home, self.copies)
        return Sorted(copied, tuple(failed))

    def _step(self, record: Record, source: Source) -> _Step:
        if source.size is None:  # Unknown in journals of version 1.
            source = Source.of(record.path)
        group = self._group(record)
        mine = self._of.get(source.file, [])
        same = tuple(place for place in mine if self.copies[place].source.same_content(source))
        stale = tuple(place for place in mine if place not in same and self._is_stale(self.copies[place], source))
        own = (place for place in same + stale if place.startswith(f"{group}/"))
        for place in itertools.chain(own, _candidates(group, record.path)):
            # Some file systems ignore case, so names must differ in more than case.
            if place.casefold() in self._taken:
                continue
            foreign = place not in same + stale and os.path.lexists(self.home / place)
            if foreign and (place in self.copies or not _same(record.path, self.home / place)):
                continue
            self._taken.add(place.casefold())
            return _Step(record.path, source, place, foreign or place in same, same, stale)
        raise AssertionError("there is always another candidate")

    def _group(self, record: Record) -> str:
        if record.grade is None:
            return ERRORS
        return REVIEW if record.to_review(self.review_below) else self.names[record.grade]

    def _is_stale(self, copy: Copy, source: Source) -> bool:
        """Return whether the row of `copy` was replaced by that of `source`.

        In another result file it is another image, for cameras reuse names. If the file is gone, the copy may be all
        that is left.
        """
        return source.size is not None and copy.out is not None and copy.out == self.out

    def _take(self, step: _Step) -> None:
        """Put the copy in its place, and delete other copies that we made of the same image."""
        target = self.home / step.place
        if not step.exists and step.same:
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.home / step.same[0]).replace(target)
            self.copies[step.place] = replace(self.copies.pop(step.same[0]), out=self.out)
        elif not step.exists:
            _copy(step.path, step.source, target)
            self.copies[step.place] = Copy(step.source, self.out)
        for place in step.same:
            if place != step.place and place in self.copies:
                (self.home / place).unlink(missing_ok=True)
                del self.copies[place]


def _stands(path: Path, source: Source) -> bool:
    return not os.path.islink(path) and Source.of(str(path)).is_copy_of(source)  # noqa: PTH114


def _copy(path: str, source: Source, target: Path) -> None:
    if not os.path.exists(path):  # noqa: PTH110
        raise OSError("broken link" if os.path.islink(path) else "no such file")  # noqa: PTH114
    if not os.path.isfile(path):  # noqa: PTH113  (a FIFO would be waited for)
        raise OSError("not a regular file")
    if not Source.of(path).same_content(source):
        raise OSError("changed since it was graded; add --resume")
    with files.replacing(target) as temporary:
        shutil.copyfile(path, temporary)
        shutil.copystat(path, temporary)


def _reason(error: OSError, path: str) -> str:
    """Return why `path` could not be copied; the target is named if it is to blame."""
    blamed = error.filename2 or error.filename
    return f"{(error.strerror or str(error)).lower()}{f' ({blamed})' if blamed and str(blamed) != path else ''}"


def _same(path: str, other: Path) -> bool:
    try:
        return os.path.isfile(path) and other.is_file() and filecmp.cmp(path, other, shallow=False)  # noqa: PTH113
    except OSError:
        return False


def _candidates(group: str, path: str) -> Iterator[str]:
    stem, suffix = os.path.splitext(os.path.basename(path))  # noqa: PTH119, PTH122
    yield f"{group}/{stem}{suffix}"
    short = files.digest(os.fsencode(os.path.abspath(path)))[:8]  # noqa: PTH100
    yield f"{group}/{stem}-{short}{suffix}"
    number = 2
    while True:
        yield f"{group}/{stem}-{short}-{number}{suffix}"
        number += 1
