"""The images of a grading job: what each is known by, and the file behind it as it was at one moment."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from mango_grader.runtime.images.preprocess import ImageSource

_CLOCK = 2_000_000_000
"""Nanoseconds by which file systems may round the time of a copy."""


@dataclass(frozen=True)
class ImageItem:
    """One image to grade.

    Attributes:
        id: what its row is known by; one id, one row. A file's is its real path. Arrays, bytes and frames of a camera
            have an id that their caller gives them, such as the number of a fruit.
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
        """What the column `path` of its row shows: the file as it was named, else the id."""
        return self.id if self.file is None else self.file


def make_items(images: Iterable[ImageSource]) -> list[ImageItem]:
    """Return an item for each image: paths by their files, all others by their place from 1, such as "000001"."""
    return [
        ImageItem.of_file(os.fsdecode(image))
        if isinstance(image, str | os.PathLike)
        else ImageItem(f"{number:06}", image)
        for number, image in enumerate(images, start=1)
    ]


@dataclass(frozen=True)
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
        """Look at the file now."""
        try:
            seen = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            return cls(real_path(path), None, None)
        return cls(real_path(path), seen.st_size, seen.st_mtime_ns)

    def same_content(self, other: "Source") -> bool:
        """Return whether size and time agree, so that both are taken to hold the same; False where they are unknown."""
        return self.size is not None and (self.size, self.mtime_ns) == (other.size, other.mtime_ns)

    def is_copy_of(self, other: "Source") -> bool:
        """Return whether this may be a copy of `other` that kept its time, as well as the file system can."""
        if self.size is None or self.mtime_ns is None or other.mtime_ns is None:
            return False
        return self.size == other.size and abs(self.mtime_ns - other.mtime_ns) <= _CLOCK


def real_path(path: str) -> str:
    """Return one path for all spellings of a file and for links to it; a link that leads nowhere stands for itself."""
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114
        folder, name = os.path.split(path)
        return os.path.normcase(os.path.join(os.path.realpath(folder), name))  # noqa: PTH118
    return os.path.normcase(os.path.realpath(path))
