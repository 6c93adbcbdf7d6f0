"""The files that the paths of a command line name: each once, sorted, and none of them left out silently."""

import codecs
import glob
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.items import real_path
from mango_grader.runtime.grading.outputs import is_own
from mango_grader.runtime.grading.sorting import read_copies
from mango_grader.runtime.images.names import IMAGE_SUFFIXES, is_clutter


def list_inputs(
    paths: Iterable[str],
    *,
    listed: Sequence[str] = (),
    recursive: bool = False,
    exclude: Collection[str | os.PathLike[str]] = (),
) -> list[str]:
    """Return the files that `paths` and `listed` name, sorted, each once and as it was spelled first.

    A file names itself, whatever it is. A folder names everything in it except clutter (`is_clutter`): images, other
    files, broken links and FIFOs alike, so that whatever cannot be graded still gets a row. Sub-folders are listed only
    if their name has the ending of an image, if they cannot be read, or if they are links, which are never followed. A
    link to another file of the result is left out. So are, in folders, files that mango-grader wrote (`is_own`), and
    copies that it made of other files of the result.

    Args:
        paths: of files and folders. One that does not exist and holds `*`, `?` or `[` is a pattern, which may hold
            `**`, and which matches no clutter.
        listed: more paths, such as the lines of a file. They are no patterns, and one that does not exist gets a row.
        recursive: whether a folder also names everything in its sub-folders.
        exclude: files and folders to leave out, such as the results of the job.

    Raises:
        UsageError: if one of `paths` names nothing, if nothing in `listed` exists, or if there is nothing to grade.
    """
    paths = list(paths)
    if listed and not any(os.path.lexists(path) for path in listed):
        raise UsageError(f"no path in the list exists, such as {listed[0]}; its paths are relative to {os.getcwd()}")  # noqa: PTH109
    left_out = {real_path(os.fspath(path)) for path in exclude}
    found: dict[str, str] = {}
    named: set[str] = set()
    for path in [*_existing(paths), *listed]:
        for one in _files(path, recursive, left_out):
            if (file := real_path(one)) not in left_out:
                found.setdefault(file, one)
                named.update([file] if one == path else [])
    for file in _copies(found) - named:
        del found[file]
    if not found:
        hint = "" if recursive else "; add --recursive to look into sub-folders"
        raise UsageError(f"nothing to grade in {', '.join(paths) or 'the list'}{hint}")
    return sorted(found.values())


def parse_list(data: bytes) -> list[str]:
    r"""Return the paths of a list as written by `find`, `ls` or PowerShell: one a line, or with NUL after each.

    With a NUL anywhere, NULs separate the paths, so that names may hold line breaks. Lines may end with "\r\n"; blank
    lines are left out. UTF-16 needs a byte order mark, and UTF-8 may have one.

    Raises:
        UsageError: if the list holds no path.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode("utf-8", "surrogatepass")
    data = data.removeprefix(codecs.BOM_UTF8)
    parts = data.split(b"\0") if b"\0" in data else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    paths = [os.fsdecode(part) for part in parts if part]
    if not paths:
        raise UsageError("the list of files is empty; nothing to grade")
    return paths


def _existing(paths: Iterable[str]) -> Iterator[str]:
    """Yield `paths`, with patterns replaced by their matches."""
    for path in paths:
        if os.path.lexists(path):
            yield path
        elif not any(one in path for one in "*?["):
            raise UsageError(f"no such file or folder: {path}")
        elif matches := [one for one in _matches(path) if not _met_clutter(one, path)]:
            yield from sorted(matches)
        else:
            raise UsageError(f"nothing matches {path}")


def _matches(pattern: str) -> set[str]:
    """Return the matches of a pattern as shells find them: names with a leading dot only if the pattern has the dot.

    Python's own `**` follows links to folders, which may form circles; this one does not.
    """
    if os.path.basename(pattern) == "**":  # noqa: PTH119
        pattern += "/*"
    before, recursive, after = pattern.replace(os.sep, "/").partition("**/")
    if not recursive or (before and not before.endswith("/")):
        return set(glob.glob(pattern))  # noqa: PTH207
    found: set[str] = set()
    for root in glob.glob(before) if before else [os.curdir]:  # noqa: PTH207
        for folder, inside, _ in os.walk(root):
            inside[:] = [name for name in inside if not is_clutter(name)]
            below = folder if before else os.path.relpath(folder).removeprefix(os.curdir)
            found |= _matches(os.path.join(glob.escape(below), after))  # noqa: PTH118
    return found


def _met_clutter(path: str, pattern: str) -> bool:
    """Return whether a match is, or lies in, clutter that its pattern does not name."""
    met = set(path.replace(os.sep, "/").split("/")) - set(pattern.replace(os.sep, "/").split("/"))
    return any(is_clutter(name) for name in met if not name.startswith("."))


def _files(path: str, recursive: bool, left_out: set[str]) -> list[str]:
    """Return the files that one path names, with links after the files."""
    if not _is_folder(path):
        return [path]
    inside = sorted(one for one in _walk(path, recursive, left_out) if not is_own(one))
    links = {one for one in inside if os.path.islink(one)}  # noqa: PTH114
    return [*(one for one in inside if one not in links), *sorted(links)] if links else inside


def _copies(found: Collection[str]) -> set[str]:
    """Return those of the files that `--sort-into` copied from others of them."""
    copies: set[str] = set()
    for home in {os.path.dirname(os.path.dirname(file)) for file in found}:  # noqa: PTH120
        with suppress(UsageError):
            for place, copy in read_copies(Path(home)).items():
                if copy.source.file in found:
                    copies.add(real_path(os.path.join(home, place)))  # noqa: PTH118
    return copies & set(found)


def _walk(folder: str, recursive: bool, left_out: set[str]) -> Iterator[str]:
    found: list[str] = []  # Paths alone: entries would take most of the memory of a large job.
    inside: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for one in entries:
                if is_clutter(one.name):
                    continue
                if _is_folder(one.path):
                    inside.append(one)
                else:
                    found.append(one.path)
    except OSError:
        yield folder
        return
    yield from found
    for entry in inside:
        if real_path(entry.path) in left_out:
            continue
        if entry.name.lower().endswith(tuple(IMAGE_SUFFIXES)) or (recursive and entry.is_symlink()):
            yield entry.path
        if recursive and not entry.is_symlink():
            yield from _walk(entry.path, recursive, left_out)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  (the only one that never raises)
