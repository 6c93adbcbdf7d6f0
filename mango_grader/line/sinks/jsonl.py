"""The sink `jsonl`: a file of JSON lines that grows as decisions come."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mango_grader import files
from mango_grader.line.sinks.base import SinkSettings
from mango_grader.line.sinks.rows import RowFile


@dataclass(frozen=True)
class JsonlSettings(SinkSettings):
    """Rows are added to a file of JSON lines, each once, see `RowFile`.

    Attributes:
        path: of the file.
        name: of the sink.

    Example:
        >>> sink = JsonlSettings("fruit.jsonl").build()
        >>> sink.name
        'jsonl'
    """

    path: str
    name: str = "jsonl"

    def build(self) -> RowFile:
        """Return the sink, not yet opened."""
        return RowFile(self.name, self.path, JsonLines())


class JsonLines:
    """Rows as JSON, one a line."""

    def header(self, classes: Sequence[str]) -> bytes:
        """Return nothing: each line names its values."""
        return b""

    def line(self, row: dict[str, Any]) -> bytes:
        """Return a row with its line break."""
        return files.to_json(row, ensure_ascii=False).encode() + b"\n"

    def id(self, line: bytes) -> str:
        """Return the id of the decision in a line; "" if it holds none."""
        try:
            return str(json.loads(line)["id"])
        except (ValueError, KeyError, TypeError):
            return ""
