"""Which files a command line of paths means, in one fixed order, each once; nothing that was asked for disappears."""

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
    """Return the files that `paths` and `listed` mean, sorted, each once and as it was spelled first.

    A file stands for itself, whatever it is. A folder stands for everything in it, and with `recursive` below it,
    except clutter (`is_clutter`): images, other files, broken links and FIFOs alike, so that whatever cannot be
    graded still gets its row. Sub-folders are listed only where they pretend to be an image by their name, cannot be
    read, or are links (never followed). A path that names nothing and holds `*`, `?` or `[` is a pattern, `**`
    included, which matches no clutter. `listed` are the paths of a list: they are no patterns, and one that does not
    exist gets its row. A link to a file that is meant, too, is that file. `exclude` names files and folders to leave
    out, such as a run's own results. In folders, what mango-grader wrote (`is_own`) is left out, and so are copies
    that it sorted there of files that are meant, too.

    Raises `UsageError` for one of `paths` that names nothing, for a list of which nothing exists, and when there is
    nothing to grade.
    """
    paths = list(paths)
    if listed and not any(os.path.lexists(path) for path in listed):
        raise UsageError(f"nothing in the list exists, such as {listed[0]}; its paths are relative to {os.getcwd()}")  # noqa: PTH109
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

    A NUL anywhere says that NULs separate, so that names may hold line breaks. Lines may end with "\r\n"; blank ones
    are left out. UTF-16 is known by its byte order mark, and UTF-8 may have one. Raises `UsageError` for a list
    without a path.
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
    """Yield `paths`, patterns replaced by what they match."""
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
    """Return what a pattern matches, as shells do it: names that begin with a dot only where the pattern says so.

    Python's own `**` goes through links to folders, which may lead round in circles; this one does not.
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
    """Return whether a match lies in clutter, or is it, that its pattern does not name."""
    met = set(path.replace(os.sep, "/").split("/")) - set(pattern.replace(os.sep, "/").split("/"))
    return any(is_clutter(name) for name in met if not name.startswith("."))


def _files(path: str, recursive: bool, left_out: set[str]) -> list[str]:
    """Return what one path means, files before the links to them."""
    if not _is_folder(path):
        return [path]
    inside = (one for one in _walk(path, recursive, left_out) if not is_own(one))
    return sorted(inside, key=lambda one: (os.path.islink(one), one))  # noqa: PTH114


def _copies(found: Collection[str]) -> set[str]:
    """Return those of these files that `--sort-into` copied from others of them."""
    copies: set[str] = set()
    for home in {os.path.dirname(os.path.dirname(file)) for file in found}:  # noqa: PTH120
        with suppress(UsageError):
            for place, copy in read_copies(Path(home)).items():
                if copy.source.file in found:
                    copies.add(real_path(os.path.join(home, place)))  # noqa: PTH118
    return copies & set(found)


def _walk(folder: str, recursive: bool, left_out: set[str]) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            inside = [one for one in entries if not is_clutter(one.name)]
    except OSError:
        yield folder
        return
    for entry in inside:
        if not _is_folder(entry.path):
            yield entry.path
            continue
        if real_path(entry.path) in left_out:
            continue
        if entry.name.lower().endswith(tuple(IMAGE_SUFFIXES)) or (recursive and entry.is_symlink()):
            yield entry.path
        if recursive and not entry.is_symlink():
            yield from _walk(entry.path, recursive, left_out)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  (of the three ways to ask, the one that never raises)
