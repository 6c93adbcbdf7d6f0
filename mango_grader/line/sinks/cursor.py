"""How far a sink has come: a small file in the folder of its run, written whole."""

from dataclasses import asdict, dataclass
from pathlib import Path

from mango_grader import files
from mango_grader.errors import FormatError, SinkError
from mango_grader.line.sinks.base import RunInfo


@dataclass(frozen=True)
class Mark:
    """How far a sink has come.

    Attributes:
        sequence: number of the last decision that has surely arrived, 0 if there is none.
        size: bytes of the file that the sink writes, with everything up to that decision; 0 for other sinks.
    """

    sequence: int = 0
    size: int = 0


class Cursor:
    """Keeps the mark of one sink for one run; the mark of an earlier run in the same folder counts as none.

    Args:
        run: whose decisions the sink gets.
    """

    def __init__(self, run: RunInfo) -> None:
        self._path, self._run = Path(run.folder, "cursor.json"), run.run

    def read(self) -> Mark | None:
        """Return the mark; None where the run has none yet.

        Raises:
            SinkError: the file cannot be read.
        """
        try:
            values = files.read_json(self._path)
            return Mark(values["sequence"], values["size"]) if values["run"] == self._run else None
        except FileNotFoundError:
            return None
        except (OSError, FormatError, KeyError, TypeError) as error:
            raise SinkError(f"{self._path} cannot be read: {error}") from error

    def write(self, mark: Mark) -> None:
        """Replace the mark.

        Args:
            mark: everything before it has surely arrived.

        Raises:
            SinkError: the file cannot be written.
        """
        try:
            files.write_text(self._path, files.to_json({"run": self._run, **asdict(mark)}) + "\n")
        except OSError as error:
            raise SinkError(f"{error.filename or self._path}: {str(error.strerror).lower()}") from error
