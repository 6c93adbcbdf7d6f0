"""The list of the copies that `grade --sort-into` made in a folder, by which they are told from files of others."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.sources import Source

COPIES_LIST = ".mango-grader.json"
"""What it is called: a folder that holds a file of this name is one of `--sort-into`."""

_KIND = "mango-grader copies 1"


@dataclass(frozen=True)
class Copy:
    """What was copied, and the real path of the result file whose rows said so; None where no rows were kept."""

    source: Source
    out: str | None


def read_copies(home: Path) -> dict[str, Copy]:
    """Return what was copied to which place below `home` ("A/1.jpg") and still stands there as it was copied.

    Raises `UsageError` if the list is damaged or of a later version.
    """
    path = home / COPIES_LIST
    if not path.exists():
        return {}
    try:
        values: Any = files.read_json(path)
        if values["kind"] == _KIND:
            listed = {place: Copy(Source(**one["source"]), one["out"]) for place, one in values["copies"].items()}
            return {place: copy for place, copy in listed.items() if _stands(home / place, copy.source)}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UsageError(f"{path} is damaged or of a later version; choose another folder for --sort-into")


def write_copies(home: Path, copies: Mapping[str, Copy]) -> None:
    """Write the list, whole."""
    values = {"kind": _KIND, "copies": {place: asdict(one) for place, one in sorted(copies.items())}}
    files.write_bytes(home / COPIES_LIST, json.dumps(values, indent=0).encode("ascii"))


def _stands(path: Path, source: Source) -> bool:
    return not os.path.islink(path) and Source.of(str(path)).is_copy_of(source)  # noqa: PTH114
