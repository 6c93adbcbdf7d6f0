"""When a frame was taken, and where the belt was: read from the names of files, from a CSV, or from EXIF."""

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.text import one_line

TIMES_FILE = "times.csv"
"""The name that a folder's own CSV of times has."""

_EXIF, _TAKEN, _FRACTION, _OFFSET = 0x8769, 0x9003, 0x9291, 0x9011  # The EXIF block; DateTimeOriginal and its parts.
_NUMBERED = re.compile(r"(?P<index>\d{1,15})_(?P<time>\d+\.\d+)(?:_(?P<ticks>-?\d+(?:\.\d+)?))?\Z", re.ASCII)
_LABELLED = re.compile(
    r"(?:\D*(?P<index>\d{1,15})[-_ ])?(?:.*?[-_ ])?"
    r"t=(?P<time>\d+(?:\.\d+)?)(?:[-_]ticks=(?P<ticks>-?\d+(?:\.\d+)?))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Stamp:
    """When a frame was taken.

    Attributes:
        time: in seconds.
        index: number of the frame; None where only its place among the others is known.
        ticks: position of the encoder; None where it is not known.
    """

    time: float
    index: int | None = None
    ticks: float | None = None


def stamp_of_name(name: str) -> Stamp | None:
    """Return what the name of a file says, None if it says no time.

    Args:
        name: without its folder: `<index>_<seconds>[_<ticks>]`, or `…-t=<seconds>[-ticks=<ticks>]`, and an ending.

    Example:
        >>> stamp_of_name("000123_4.100.png")
        Stamp(time=4.1, index=123, ticks=None)
        >>> stamp_of_name("belt-7-t=0.28-ticks=310.jpg")
        Stamp(time=0.28, index=7, ticks=310.0)
    """
    stem = Path(name).stem
    found = _NUMBERED.match(stem) or _LABELLED.match(stem)
    if found is None:
        return None
    index, ticks = found["index"], found["ticks"]
    return Stamp(float(found["time"]), None if index is None else int(index), None if ticks is None else float(ticks))


def read_stamps(path: Path) -> Mapping[str, Stamp]:
    """Return the stamps of a CSV by the names of files.

    Args:
        path: of a CSV with the columns name and time (seconds), and perhaps ticks and index.

    Raises:
        UsageError: the file cannot be read, or a row of it cannot be used; one line names it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"name", "time"} <= set(rows.fieldnames or ()):
                raise UsageError(f"{path}: its first line must name the columns name and time, and may name ticks")
            stamps: dict[str, Stamp] = {}
            for row in rows:
                name, stamp = row["name"], _stamp(row)
                if not name or stamp is None or name in stamps:
                    raise UsageError(f"{path}, line {rows.line_num}: expected a name of its own and numbers")
                stamps[name] = stamp
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV in UTF-8: {one_line(str(error))}") from error
    return stamps


def exif_time(path: Path) -> float | None:
    """Return the seconds at which a camera says that it took a photo, on a clock of its own; None if it does not."""
    try:
        with Image.open(path) as image:
            tags = image.getexif().get_ifd(_EXIF)
            taken, fraction = str(tags.get(_TAKEN, "")), str(tags.get(_FRACTION, "")).strip("\0 ")
            zone = str(tags.get(_OFFSET, "")).strip("\0 ") or "+00:00"
        moment = datetime.strptime(f"{taken.strip(chr(0))} {zone}", "%Y:%m:%d %H:%M:%S %z")
        return moment.timestamp() + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)
    except Exception:  # Pillow's readers raise exceptions of nearly every type on damaged files.
        return None


def _stamp(row: Mapping[str, str | None]) -> Stamp | None:
    try:
        time, index, ticks = float(row["time"] or ""), row.get("index"), row.get("ticks")
        stamp = Stamp(time, int(index) if index else None, float(ticks) if ticks else None)
    except ValueError:
        return None
    known = [time, *([] if stamp.ticks is None else [stamp.ticks])]
    return stamp if all(map(math.isfinite, known)) and (stamp.index or 0) >= 0 else None
