"""What a task writes to standard error on another machine, brought to the program that submitted it."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

from mango_grader.executors.base import outcome_of


class Relay:
    """Keeps lines until they are asked for; one for an executor, near the program that shows them."""

    def __init__(self) -> None:
        self._kept: list[str] = []

    def put(self, text: str) -> None:
        """Keep whole lines."""
        self._kept.append(text)

    def taken(self) -> list[str]:
        """Return what is kept, in the order in which it came, and forget it."""
        kept, self._kept = self._kept, []
        return kept


class RelayedLines(io.TextIOBase):
    """A text stream that hands over each line as soon as it is whole.

    Args:
        put: takes whole lines.
    """

    def __init__(self, put: Callable[[str], Any]) -> None:
        super().__init__()
        self._put, self._begun = put, ""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str, /) -> int:
        """Take text; what follows the last line break waits for the next."""
        lines, found, self._begun = (self._begun + text).rpartition("\n")
        if found:
            self._put(lines + found)
        return len(text)

    def finish(self) -> None:
        """Hand over what waits, as a line."""
        if self._begun:
            self.write("\n")


def performed(action: Callable[[], Any], relay: Any) -> Any:
    """Return what an action returns, or `Crashed`; what it writes to standard error goes through the relay.

    Args:
        action: what is done.
        relay: Ray's handle of a `Relay`.
    """
    lines = RelayedLines(relay.put.remote)
    with redirect_stderr(lines):
        try:
            return outcome_of(action)
        finally:
            lines.finish()
