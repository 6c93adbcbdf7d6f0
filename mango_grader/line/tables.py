"""The tables of a run, each written whole from its log."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from mango_grader.errors import UsageError
from mango_grader.line.decision import column_kinds, to_row
from mango_grader.line.log.folder import LogFolder
from mango_grader.runtime.grading.writers import check_output, write_rows

_PAUSE_S = 60.0  # between two writings of a table while the line runs, at least
_SHARE = 0.05  # of the time that writing may take, at most


def write_table(path: str | os.PathLike[str], log: LogFolder) -> None:
    """Write one row per decision of a log, atomically and in constant memory.

    Args:
        path: of the file; its ending, .csv, .jsonl or .parquet, chooses the format.
        log: of the run.

    Raises:
        UsageError: a file of others stands at `path`.
    """
    classes = log.started.classes
    write_rows(path, column_kinds(classes), (to_row(decision, classes) for decision in log.decisions()))


def check_table(path: str | os.PathLike[str], *, resume: bool) -> None:
    """Raise `UsageError` unless a run may write its table to `path`.

    Args:
        path: of the file.
        resume: whether the run goes on, so that its table may be there.
    """
    check_output(path)
    file = Path(path)
    if not resume and file.exists() and file.stat().st_size:
        raise UsageError(f"{file} exists; add --resume to continue it, or choose another --out")


class TableKeeper:
    """Writes tables when a run ends; where it is endless, also now and then, in a thread of its own.

    Args:
        paths: of the tables.
        log: of the run.
        live: whether the run is endless.
    """

    def __init__(self, paths: Sequence[str], log: LogFolder, *, live: bool) -> None:
        self._paths, self._log, self._live = paths, log, live
        self._changed, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="tables", daemon=True)

    def news(self) -> None:
        """Say that the log holds another decision."""
        self._changed.set()

    def write(self) -> None:
        """Write all tables now."""
        for path in self._paths:
            write_table(path, self._log)

    def __enter__(self) -> Self:
        if self._live and self._paths:
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        if error is None or (self._live and isinstance(error, KeyboardInterrupt)):
            self.write()

    def _keep(self) -> None:
        pause = _PAUSE_S
        while not self._closing.wait(pause):
            if self._changed.is_set():
                self._changed.clear()
                start = monotonic()
                try:
                    self.write()
                except OSError:  # Such as a full disk; the last writing reports it.
                    continue
                pause = max(_PAUSE_S, (monotonic() - start) / _SHARE)
