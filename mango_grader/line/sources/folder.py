"""A folder of frames: one image file each."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mango_grader.errors import ImageError, UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import Order, SourceCounts
from mango_grader.line.sources.stamps import TIMES_FILE, Stamp, exif_time, read_stamps, stamp_of_name
from mango_grader.runtime.images.decode import decode
from mango_grader.runtime.images.names import IMAGE_SUFFIXES, is_clutter
from mango_grader.text import about, natural_key, one_line

_UNKNOWN = 1e-6  # seconds after the frame before, for a file that cannot be read and so does not tell


@dataclass(frozen=True)
class _Listed:
    path: Path
    stamp: Stamp


class FrameFolder:
    """A folder whose images are the frames, in the order of their times; sub-folders are left alone.

    Times come from `times`, else from `fps`, else from the folder's own times.csv (columns name, time and perhaps ticks
    and index), else from the names (`000123_4.100.png`, `belt-t=4.1.png`), else from EXIF (DateTimeOriginal with
    SubSecTimeOriginal). With `fps`, names that differ only in the number that they end in (`frame_000123.png`) count
    frames: a number that is not there is a frame that was lost. An image that cannot be read is a frame with an error.

    Args:
        path: of the folder.
        fps: frames per second.
        times: path of a CSV like times.csv.

    Attributes:
        name: the path.
        finite: True.
        counts: what happened to its frames so far.

    Raises:
        UsageError: there is no such folder, it holds no images, or nothing tells when they were taken.

    Example:
        ```python
        for frame in FrameFolder("belt", fps=30).frames():
            print(frame.index, frame.time, frame.name, frame.error)
        ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float | None = None,
        times: str | os.PathLike[str] | None = None,
    ) -> None:
        if fps is not None and times is not None:
            raise UsageError("fps and times both tell when frames were taken; give one of them")
        folder = Path(path)
        self.name, self.finite, self.counts = str(path), True, SourceCounts()
        files = [folder / name for name in sorted(image_names(folder), key=natural_key)]
        if not files:
            raise UsageError(f"{folder} holds no images")
        own = folder / TIMES_FILE
        if fps is not None:
            self._listed = _numbered(files, fps)
        elif times is not None or own.is_file():
            self._listed = _from_table(folder, files, own if times is None else Path(times))
        else:
            self._listed = _from_names(files) or _from_exif(files) or _unknown(folder)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._listed)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`."""
        order = Order(self.counts, start)
        for place, one in enumerate(self._listed):
            index = place if one.stamp.index is None else one.stamp.index
            if order.accepts(index, one.stamp.time):
                yield self.counts.deliver(read_frame(one.path, replace(one.stamp, index=index)))


def image_names(folder: Path) -> list[str]:
    """Return the names of the images of a folder in any order.

    Args:
        folder: to list; sub-folders and clutter are left out.

    Raises:
        UsageError: it is no folder, or cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if is_image(entry.name) and entry.is_file()]
    except OSError as error:
        raise UsageError(f"{folder}: {str(error.strerror).lower()}") from error


def is_image(name: str) -> bool:
    """Return whether a file of this name, given without its folder, is an image by its ending, and no clutter."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not is_clutter(name)  # noqa: PTH122


def read_frame(path: Path, stamp: Stamp) -> Frame:
    """Return the frame of a file; it has an error if the file cannot be read.

    Args:
        path: of the file.
        stamp: with an index.
    """
    image, error = None, None
    try:
        image = np.asarray(decode(path))
    except ImageError as reason:
        error = str(reason)
    return Frame(stamp.index or 0, stamp.time, image, stamp.ticks, one_line(path.name), error)


def number_in(name: str) -> tuple[str, int, int] | None:
    """Return what comes before the number that a file's name ends in, its number of digits, and the number.

    Args:
        name: without its folder.
    """
    found = re.fullmatch(r"(.*?)(\d{3,15})", Path(name).stem, re.ASCII)
    return None if found is None else (found[1], len(found[2]), int(found[2]))


def _numbered(files: Sequence[Path], fps: float) -> list[_Listed]:
    found = [number_in(path.name) for path in files]
    alike = len({None if one is None else one[:2] for one in found}) == 1
    places = [n if one is None or not alike else one[2] for n, one in enumerate(found)]
    return [_Listed(path, Stamp(n / fps, index=n)) for path, n in zip(files, places, strict=True)]


def _from_table(folder: Path, files: Sequence[Path], table: Path) -> list[_Listed]:
    stamps = read_stamps(table)
    if strangers := [path.name for path in files if path.name not in stamps]:
        raise UsageError(one_line(about(strangers, "image", f"of {folder} without a time in {table}")))
    # A file that the table names and that is not there is a frame that cannot be read.
    return _by_time([_Listed(folder / name, stamp) for name, stamp in stamps.items() if Path(name).name == name])


def _from_names(files: Sequence[Path]) -> list[_Listed] | None:
    stamps = [stamp_of_name(path.name) for path in files]
    if all(stamp is None for stamp in stamps):
        return None
    if strangers := [path.name for path, stamp in zip(files, stamps, strict=True) if stamp is None]:
        raise UsageError(one_line(about(strangers, "image", "among others whose names tell their times, without one")))
    return _by_time([_Listed(path, stamp) for path, stamp in zip(files, stamps, strict=True) if stamp is not None])


def _from_exif(files: Sequence[Path]) -> list[_Listed] | None:
    times = [exif_time(path) for path in files]
    known = [time for time in times if time is not None]
    if not known or times[0] is None:
        return None
    if len(set(known)) < len(known):
        raise UsageError(f"the EXIF times of {files[0].parent} repeat: they are too coarse; tell the times with --fps")
    listed, last = [], known[0]
    for path, time in zip(files, times, strict=True):
        last = last + _UNKNOWN if time is None else time
        listed.append(_Listed(path, Stamp(last - known[0])))
    return _by_time(listed)


def _by_time(listed: Sequence[_Listed]) -> list[_Listed]:
    key: Callable[[_Listed], float] = lambda one: one.stamp.time  # noqa: E731
    return sorted(listed, key=key)


def _unknown(folder: Path) -> list[_Listed]:
    raise UsageError(
        f"nothing tells when the images of {folder} were taken; give --fps, or a {TIMES_FILE} with name and time"
    )
