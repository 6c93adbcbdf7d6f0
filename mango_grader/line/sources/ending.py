"""When a source that could go on for ever ends."""

import os
from pathlib import Path
from threading import Event
from time import monotonic


class Ending:
    """Says when a live source ends: it is told to, a file appears, or no frame came for too long.

    Args:
        after: seconds without a frame; None waits for ever.
        file: path of a file; the source ends when there is one. None looks for none.

    Attributes:
        told: set when the source is to end at once.
    """

    def __init__(self, after: float | None = None, file: str | os.PathLike[str] | None = None) -> None:
        self._after, self._file = after, None if file is None else Path(file)
        self.told = Event()
        self._heard = monotonic()

    def hear(self) -> None:
        """Note that a frame came."""
        self._heard = monotonic()

    def reached(self) -> bool:
        """Return whether the source is to end."""
        if self.told.is_set() or (self._file is not None and self._file.exists()):
            return True
        return self._after is not None and monotonic() - self._heard >= self._after

    def wait(self, seconds: float) -> None:
        """Wait, at most until the source is told to end, or no frame came for too long.

        Args:
            seconds: to wait.
        """
        left = seconds if self._after is None else min(seconds, self._after - (monotonic() - self._heard))
        self.told.wait(max(0.0, left))
