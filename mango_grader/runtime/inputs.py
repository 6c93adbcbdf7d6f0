"""Which files a command line of paths means, in one fixed order; nothing that was asked for disappears."""

import os
from collections.abc import Collection, Iterable, Iterator

from mango_grader.errors import UsageError
from mango_grader.runtime.formats import IMAGE_SUFFIXES


def list_inputs(
    paths: Iterable[str], *, recursive: bool = False, exclude: Collection[str | os.PathLike[str]] = ()
) -> list[str]:
    """Return the files that `paths` mean, sorted, each once.

    A file stands for itself, whatever it is. A folder stands for everything in it, and with `recursive` below it,
    whose name does not begin with a dot: images, other files, broken links and FIFOs alike, so that whatever
    cannot be graded still gets its row. Sub-folders are listed only where they pretend to be an image by their
    name, cannot be read, or are links (never followed). `exclude` names files and folders to leave out, such as a
    run's own results.

    Raises `UsageError` for a path that does not exist, and when there is nothing to grade.
    """
    paths = list(paths)
    left_out = {os.path.realpath(path) for path in exclude}
    found: set[str] = set()
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
        found.update(_walk(path, recursive, left_out) if _is_folder(path) else [path])
    if not found:
        hint = "" if recursive else "; add --recursive to look into sub-folders"
        raise UsageError(f"nothing to grade in {', '.join(paths)}{hint}")
    return sorted(found)


def _walk(folder: str, recursive: bool, left_out: set[str]) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            inside = [one for one in entries if not one.name.startswith(".")]
    except OSError:
        yield folder
        return
    for entry in inside:
        if os.path.realpath(entry.path) in left_out:
            continue
        if not _is_folder(entry.path):
            yield entry.path
            continue
        if entry.name.lower().endswith(tuple(IMAGE_SUFFIXES)) or (recursive and entry.is_symlink()):
            yield entry.path
        if recursive and not entry.is_symlink():
            yield from _walk(entry.path, recursive, left_out)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  (of the three ways to ask, the one that never raises)
