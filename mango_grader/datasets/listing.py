"""What lies in a data folder: its images, its tables and its other files, in a fixed order."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.sorting import COPIES_LIST
from mango_grader.runtime.images.names import IMAGE_SUFFIXES, READ_SUFFIXES, is_clutter
from mango_grader.text import counted

__all__ = ["TABLE_SUFFIXES", "Files", "about", "list_files"]

TABLE_SUFFIXES = frozenset({".csv", ".tsv"})


@dataclass(frozen=True)
class Files:
    """Paths relative to `root`, with forward slashes, sorted.

    Clutter such as hidden files, and folders into which mango-grader sorted copies, are left out.
    """

    root: Path
    images: tuple[str, ...]
    tables: tuple[str, ...]
    folders: tuple[str, ...]
    findings: tuple[str, ...]

    @cached_property
    def top_folders(self) -> tuple[str, ...]:
        """Folders directly under the root that hold an image at any depth."""
        return tuple(sorted({path.split("/", 1)[0] for path in self.images if "/" in path}))

    @property
    def empty_folders(self) -> tuple[str, ...]:
        """Folders directly under the root that hold no image."""
        return tuple(name for name in self.folders if "/" not in name and name not in self.top_folders)


def list_files(root: Path) -> Files:
    """List `root` once, following links but no loop; raise `UsageError` if it is no folder or holds no image."""
    if not root.is_dir():
        raise UsageError(f"no such folder: {root}" if not root.exists() else f"not a folder or a CSV: {root}")
    images: list[str] = []
    tables: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    copies: list[str] = []
    unnameable: list[str] = []
    seen = {str(root.resolve())}
    locked: list[OSError] = []
    for name, subfolders, names in os.walk(root, followlinks=True, onerror=locked.append):
        here = Path(name)
        subfolders[:] = sorted(sub for sub in subfolders if not is_clutter(sub) and _first_visit(here / sub, seen))
        copies += [
            (here / sub).relative_to(root).as_posix() for sub in subfolders if (here / sub / COPIES_LIST).is_file()
        ]
        subfolders[:] = [sub for sub in subfolders if (here / sub).relative_to(root).as_posix() not in copies]
        folders += [(here / sub).relative_to(root).as_posix() for sub in subfolders if _text(sub)]
        # Cameras save a raw file beside an image of the same name: where that can be read, it is the one that is meant.
        stems = {path.stem for path in map(PurePosixPath, names) if path.suffix.lower() in READ_SUFFIXES}
        for file in names:
            relative = (here / file).relative_to(root).as_posix()
            if is_clutter(file):
                continue
            suffix = PurePosixPath(file).suffix.lower()
            if not _text(relative):
                unnameable.append(ascii(relative))
            elif suffix in READ_SUFFIXES or (suffix in IMAGE_SUFFIXES and PurePosixPath(file).stem not in stems):
                images.append(relative)
            elif suffix in TABLE_SUFFIXES:
                tables.append(relative)
            else:
                others.append(relative)
    if not images:
        raise UsageError(f"no image in {root}; known endings are {', '.join(sorted(READ_SUFFIXES))}")
    findings = []
    strange = [path for path in others if PurePosixPath(path).suffix.lower() not in _COMPANIONS]
    if strange:
        findings.append(about(strange, "file", "of no known image type and left out"))
    if unnameable:
        findings.append(about(unnameable, "file", "left out because the name is not valid text"))
    if copies:
        findings.append(about(copies, "folder", "of copies that mango-grader sorted, left out"))
    if locked:
        findings.append(about([str(error.filename) for error in locked], "folder", "not readable"))
    return Files(root, tuple(sorted(images)), tuple(sorted(tables)), tuple(sorted(folders)), tuple(findings))


_COMPANIONS = frozenset({
    ".txt", ".md", ".json", ".html", ".xml", ".yaml", ".yml", ".pdf", ".db", ".ini", ".journal", "",
})  # fmt: skip


def about(names: Sequence[str], what: str, remark: str) -> str:
    """Return a finding such as "12 images without a label: a, b, c, …"."""
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{counted(len(names), what)} {remark}: {shown}"


def _text(name: str) -> bool:
    # Names that are not UTF-8 reach Python as lone surrogates, which no JSON or CSV file can hold.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _first_visit(folder: Path, seen: set[str]) -> bool:
    real = str(folder.resolve())
    if real in seen:
        return False
    seen.add(real)
    return True
