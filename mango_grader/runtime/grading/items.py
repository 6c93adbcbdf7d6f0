"""The file behind a path: which one it is, whatever it is called, and whether it is still what it was."""

import os
from dataclasses import dataclass
from typing import Self

_CLOCK = 2_000_000_000
"""Nanoseconds by which file systems may round the time of a copy."""


@dataclass(frozen=True)
class Source:
    """A file as it was at one moment.

    Fields:
        file: its real path, the same for every spelling of it and for links to it.
        size: in bytes; mtime_ns: time of the last change. Both are None where the file could not be looked at.
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
