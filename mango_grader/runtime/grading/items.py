"""The images of a grading job: the id of each, and the state of its file when it was graded."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mango_grader.errors import UsageError
from mango_grader.runtime.images.preprocess import ImageSource

_CLOCK = 2_000_000_000
"""Nanoseconds by which file systems may round the time of a copy."""


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One image to grade.

    Attributes:
        id: identifies its row; two images never share one. The id of a file is its real path. Arrays, bytes and
            frames of a camera get theirs from the caller, such as the number of a fruit.
        image: the image, or the path of its file.
        file: path of the file that the image is read from, as its row shows it; None for an image without a file.
    """

    id: str
    image: ImageSource
    file: str | None = None

    @classmethod
    def of_file(cls, path: str) -> Self:
        """Return the item of an image file, however its path is spelled."""
        return cls(real_path(path), path, path)

    @property
    def path(self) -> str:
        """Value of the column `path` of its row, which is the path as it was given, or the id without a file."""
        return self.id if self.file is None else self.file


def make_items(images: Iterable[ImageSource]) -> list[ImageItem]:
    """Return an item for each image.

    Args:
        images: paths, whose items are known by their files, and images without a path, which are numbered by their
            place among all: "000001", "000002", ….
    """
    return [
        ImageItem.of_file(os.fsdecode(image))
        if isinstance(image, str | os.PathLike)
        else ImageItem(f"{number:06}", image)
        for number, image in enumerate(images, start=1)
    ]


class FileItems(Collection[ImageItem]):
    """The items of image files, each made when it is asked for: a job of a million images holds their paths alone.

    Args:
        files: paths of different files.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[ImageItem]:
        return map(ImageItem.of_file, self.files)

    def __contains__(self, item: object) -> bool:
        return any(one == item for one in self)


def require_unique(items: Collection[ImageItem]) -> None:
    """Raise `UsageError` if two items have the same id."""
    if isinstance(items, FileItems):  # of different files
        return
    counts = Counter(item.id for item in items)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise UsageError(f"two images have the id {twice[0]!r}; each image needs its own")


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was at one moment.

    Attributes:
        file: its real path, the same for every spelling of it and for links to it.
        size: in bytes; None where the file could not be looked at.
        mtime_ns: time of the last change, in nanoseconds; None where the file could not be looked at.
    """

    file: str
    size: int | None
    mtime_ns: int | None

    @classmethod
    def of(cls, path: str) -> Self:
        """Return the state of a file now."""
        try:
            seen = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            return cls(real_path(path), None, None)
        return cls(real_path(path), seen.st_size, seen.st_mtime_ns)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"file": self.file, "size": self.size, "mtime_ns": self.mtime_ns}

    def same_content(self, other: "Source") -> bool:
        """Return whether size and time agree; False where they are unknown."""
        return self.size is not None and (self.size, self.mtime_ns) == (other.size, other.mtime_ns)

    def is_copy_of(self, other: "Source") -> bool:
        """Return whether this may be a copy of `other` with its time, which file systems may round."""
        if self.size is None or self.mtime_ns is None or other.mtime_ns is None:
            return False
        return self.size == other.size and abs(self.mtime_ns - other.mtime_ns) <= _CLOCK


def real_path(path: str) -> str:
    """Return the one path that all spellings of a file and all links to it share; of a broken link, its own."""
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
        folder, name = os.path.split(path)
        return os.path.normcase(os.path.join(os.path.realpath(folder), name))  # noqa: PTH118
    found = os.path.normcase(os.path.realpath(path))
    return path if found == path else found  # No second copy of each path of a large job.
