"""What lies in a data folder: its images, CSVs and other files, and which image an id of a CSV means."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.sorting import COPIES_LIST
from mango_grader.runtime.images.names import IMAGE_SUFFIXES, READ_SUFFIXES, is_clutter
from mango_grader.text import about

__all__ = ["TABLE_SUFFIXES", "Files", "find_images", "is_image_folder", "list_files"]

TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
"""Endings of the files that may hold labels or groups."""

_COMPANIONS = frozenset({
    ".txt", ".md", ".json", ".html", ".xml", ".yaml", ".yml", ".pdf", ".db", ".ini", ".journal", "",
})  # fmt: skip
_IMAGE_FOLDERS = {"images", "image", "imgs", "img", "photos", "pictures"}


@dataclass(frozen=True)
class Files:
    """The files in a data folder, as sorted paths relative to `root`, with forward slashes.

    Hidden files and other clutter, and folders into which mango-grader sorted copies, are left out.

    Attributes:
        root: the data folder.
        images: images by their endings, those included that cannot be read (camera raw files).
        tables: CSV and TSV files.
        folders: all folders.
        findings: one line for each kind of file or folder that was left out.
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
    """List a folder and all that is below it, following links but no loop; no file is opened.

    Args:
        root: the data folder.

    Raises:
        UsageError: `root` is no folder, or holds no image.
    """
    if not root.is_dir():
        raise UsageError(f"no such folder: {root}" if not root.exists() else f"not a folder or a CSV: {root}")
    found = _Found()
    seen = {str(root.resolve())}
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=found.locked.append):
        here = Path(folder)
        found.enter(root, here, subfolders, seen)
        found.add_files(here.relative_to(root).as_posix(), names)
    if not found.images:
        raise UsageError(f"no image in {root}; the endings of image files are {', '.join(sorted(READ_SUFFIXES))}")
    images, tables, folders = (tuple(sorted(paths)) for paths in (found.images, found.tables, found.folders))
    return Files(root, images, tables, folders, found.findings())


@dataclass
class _Found:
    """Collects what a walk through a folder meets, by kind."""

    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    unnameable: list[str] = field(default_factory=list)
    locked: list[OSError] = field(default_factory=list)

    def enter(self, root: Path, here: Path, subfolders: list[str], seen: set[str]) -> None:
        """Leave in `subfolders` those to walk into, in order; `seen` are the real paths of all visited folders."""
        visited = sorted(sub for sub in subfolders if not is_clutter(sub) and _first_visit(here / sub, seen))
        copies = {sub for sub in visited if (here / sub / COPIES_LIST).is_file()}
        subfolders[:] = [sub for sub in visited if sub not in copies]
        self.copies += [(here / sub).relative_to(root).as_posix() for sub in visited if sub in copies]
        self.folders += [(here / sub).relative_to(root).as_posix() for sub in subfolders if _is_text(sub)]

    def add_files(self, folder: str, names: Sequence[str]) -> None:
        """Sort the files of one folder by what they are."""
        # Cameras save a raw file beside an image of the same name: where that can be read, it is the one to use.
        stems = {path.stem for path in map(PurePosixPath, names) if path.suffix.lower() in READ_SUFFIXES}
        for name in names:
            if is_clutter(name):
                continue
            path = name if folder == "." else f"{folder}/{name}"
            suffix = PurePosixPath(name).suffix.lower()
            if not _is_text(path):
                self.unnameable.append(ascii(path))
            elif suffix in READ_SUFFIXES or (suffix in IMAGE_SUFFIXES and PurePosixPath(name).stem not in stems):
                self.images.append(path)
            elif suffix in TABLE_SUFFIXES:
                self.tables.append(path)
            else:
                self.others.append(path)

    def findings(self) -> tuple[str, ...]:
        unknown = [path for path in self.others if PurePosixPath(path).suffix.lower() not in _COMPANIONS]
        kinds = (
            (unknown, "file", "of unknown type, left out"),
            (self.unnameable, "file", "left out because the name is not valid text"),
            (self.copies, "folder", "of copies that mango-grader sorted, left out"),
            ([str(error.filename) for error in self.locked], "folder", "that cannot be read"),
        )
        return tuple(about(paths, noun, what) for paths, noun, what in kinds if paths)


def _is_text(name: str) -> bool:
    # Names that are not UTF-8 reach Python as lone surrogates, which no JSON or CSV file can hold.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _first_visit(folder: Path, seen: set[str]) -> bool:
    real = str(folder.resolve())
    if real in seen:
        return False
    seen.add(real)
    return True


def is_image_folder(folder: str) -> bool:
    """Return whether a folder's name says that it holds images, of whatever class.

    Args:
        folder: a path with forward slashes.

    Example:
        >>> is_image_folder("season1/images")
        True
    """
    return folder.rpartition("/")[2].casefold() in _IMAGE_FOLDERS


def find_images(images: Sequence[str], ids: Sequence[str]) -> list[str | None]:
    """Return the path of the image that each id means, in the order of `ids`; None where none or several fit.

    An id is a path below some folder, with or without the ending. Folders may hold files of equal names (images/,
    masks/), so the one that explains most ids is taken, `images` first among equals; an id that it lacks is looked
    up by file name in all folders. Letter case, and how accents are encoded, count only where files differ in nothing
    else.

    Args:
        images: paths relative to the data folder, with forward slashes.
        ids: what a CSV calls the images, one for each row.

    Example:
        >>> find_images(["images/a.png", "images/b.png", "masks/a.png"], ["a", "B.PNG", "c"])
        ['images/a.png', 'images/b.png', None]
    """
    names = [_clean(name) for name in ids]
    folder, anywhere = _index(images, names)
    return [folder.find(name) or anywhere.find(name.rpartition("/")[2]) for name in names]


def _index(images: Iterable[str], ids: Iterable[str]) -> tuple["_Names", "_Names"]:
    """Return the paths by their names below the folder that explains most ids, and by their file names."""
    folded = {_folded(name) for name in ids}
    below: defaultdict[str, _Names] = defaultdict(_Names)
    anywhere = _Names()
    for path in images:
        anywhere.add(path.rpartition("/")[2], path)
        pieces = path.split("/")
        for depth in range(len(pieces)):
            rest = "/".join(pieces[depth:])
            if any(_folded(spelling) in folded for spelling in _spellings(rest)):
                below["/".join(pieces[:depth])].add(rest, path)
    folder = min(below, key=lambda name: (-len(below[name]), not is_image_folder(name), name), default="")
    return below[folder], anywhere


class _Names:
    """Paths by the spellings of a name; as long as the number of paths."""

    def __init__(self) -> None:
        self._exact: dict[str, str | None] = {}  # None where several paths have a name
        self._folded: dict[str, str | None] = {}
        self._count = 0

    def add(self, name: str, path: str) -> None:
        self._count += 1
        for spelling in _spellings(name):
            for names, key in ((self._exact, spelling), (self._folded, _folded(spelling))):
                names[key] = None if key in names else path

    def find(self, name: str) -> str | None:
        return self._exact.get(name) or self._folded.get(_folded(name))

    def __len__(self) -> int:
        return self._count


def _folded(name: str) -> str:
    # macOS writes letters and their accents apart in file names, spreadsheets together.
    return unicodedata.normalize("NFC", name.casefold())


def _clean(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")


def _spellings(path: str) -> Iterator[str]:
    yield path
    if suffix := PurePosixPath(path).suffix:
        yield path[: -len(suffix)]
