"""Frames that are kept, so that a run can be repeated bit for bit: PNG files and a table of their times."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import cv2

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources import Source
from mango_grader.line.sources.stamps import TIMES_FILE

_PART = "from-"
_COLUMNS = ("name", "time", "ticks", "index")
_FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class Recording:
    """A source whose frames are kept as they are handed on: one PNG each, and their times in times.csv.

    `FrameFolder` reads the same frames from the folder, to the last bit. A camera's frames are in a folder of their own
    within it for each time that the run began or went on, since their clocks may differ.

    Args:
        source: of the frames.
        folder: to keep them in; it is made if needed, and is empty or a recording.

    Attributes:
        name: of the source.
        finite: whether it ends by itself.
        counts: what happened to its frames so far.

    Raises:
        UsageError: the folder holds something else.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mango_grader.line import FrameFolder, GivenFrames
        >>> folder = tempfile.mkdtemp()
        >>> source = Recording(GivenFrames([np.full((4, 6, 3), 7, np.uint8)] * 3, fps=30), folder)
        >>> [frame.time for frame in source.frames()] == [frame.time for frame in FrameFolder(folder).frames()]
        True
    """

    def __init__(self, source: Source, folder: str | os.PathLike[str]) -> None:
        self.name, self.finite, self.counts = source.name, source.finite, source.counts
        self._source, self._folder = source, Path(folder)
        found = list(self._folder.iterdir()) if self._folder.is_dir() else []
        if found and not any(path.name == TIMES_FILE or path.name.startswith(_PART) for path in found):
            raise UsageError(f"{self._folder} holds other files than a recording; name a new folder")

    def __len__(self) -> int:
        """Return the number of frames, as far as the source knows it."""
        return len(self._source)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`; each is kept before it is yielded."""
        folder = self._folder if self.finite else part(self._folder, start)
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / TIMES_FILE
        files.write_text(table, _before(table, start))
        with table.open("a", encoding="utf-8", newline="") as rows:
            for frame in self._source.frames(start):
                _keep(folder, rows, frame)
                yield frame


def part(folder: Path, start: int) -> Path:
    """Return the folder of the frames that a camera took after the run began or went on.

    Args:
        folder: of the whole recording.
        start: index of the first frame.
    """
    return folder / f"{_PART}{start:09d}"


def _before(table: Path, start: int) -> str:
    """Return the table without the frames from `start` on, which come again, and without a torn last line."""
    kept = [",".join(_COLUMNS)]
    if table.exists():
        for line in table.read_text(encoding="utf-8").splitlines(keepends=True)[1:]:
            values = line.rstrip("\n").split(",")
            if line.endswith("\n") and len(values) == len(_COLUMNS) and int(values[-1]) < start:
                kept.append(",".join(values))
    return "\n".join(kept) + "\n"


def _keep(folder: Path, rows: TextIO, frame: Frame) -> None:
    name = f"{frame.index:09d}.png"
    if frame.image is not None:  # One that could not be read is in the table alone.
        _, data = cv2.imencode(".png", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), _FAST)
        temporary = folder / f".{name}.part"
        temporary.write_bytes(data.tobytes())
        temporary.replace(folder / name)
    ticks = "" if frame.ticks is None else repr(frame.ticks)
    csv.writer(rows, lineterminator="\n").writerow([name, repr(frame.time), ticks, frame.index])
    rows.flush()
