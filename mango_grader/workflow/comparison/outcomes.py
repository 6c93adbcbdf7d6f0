"""One run of a comparison, and its outcome as plain data."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mango_grader.automl.movement import Movement
from mango_grader.errors import MangoError
from mango_grader.files import read_json
from mango_grader.progress import Progress
from mango_grader.workflow.comparison.answers import Marks, answers_of
from mango_grader.workflow.comparison.entries import Runner
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.measure import Measured


@dataclass(frozen=True)
class ExitFigures:
    """Figures of one exit.

    Attributes:
        accuracy: on test images, 0..1.
        validation: accuracy on validation images, 0..1.
        macs: multiply-adds for one image, up to and with this exit.
        params: parameters up to and with this exit.
    """

    accuracy: float
    validation: float
    macs: int
    params: int


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds of a run.

    Attributes:
        search: up to the network, preparing the data included.
        train: from the network to its weights.
        whole: of the whole run.
    """

    search: float
    train: float
    whole: float


@dataclass(frozen=True)
class RunFigures:
    """What a finished run achieved.

    Attributes:
        exits: figures of each exit, the first exit first.
        validated: number of validation images.
        seconds: how long it took; None where it was interrupted.
        correct: by group and test image, which exits answered correctly; "right" in comparison.json.
        commonest: share of the commonest class among the test images, 0..1; None in files of earlier versions.
        movement: what its search changed; None for a baseline and in files of earlier versions.
    """

    exits: tuple[ExitFigures, ...]
    validated: int
    seconds: Seconds | None
    correct: Annotated[Marks, Field(alias="right")]
    commonest: float | None = None
    movement: Movement | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run.

    Attributes:
        entry: name of the entry.
        repeat: number of its run, from 1.
        figures: what it achieved; None where it failed.
        error: in one line, why it failed; None where it did not.
    """

    entry: str
    repeat: int
    figures: RunFigures | None
    error: str | None = None


@dataclass(frozen=True)
class ComparedRun:
    """One run of an entry; it can be sent to another process.

    Attributes:
        entry: does the run.
        repeat: number of the run, from 1.
        config: all settings of the run.
    """

    entry: Runner
    repeat: int
    config: RunConfig

    @property
    def name(self) -> str:
        """ENTRY #REPEAT, as messages name it."""
        return f"{self.entry.name} #{self.repeat}"

    @property
    def folder(self) -> Path:
        """Its folder, below that of the comparison."""
        return Path(self.entry.name.replace("/", "-"), f"seed-{self.config.seed}")

    def perform(self, out: Path, progress: Progress) -> Outcome:
        """Do the run, or what is missing of it; a failure that a user can mend is an outcome, too.

        Args:
            out: folder of the comparison.
            progress: told what happens.
        """
        folder = RunFolder(out / self.folder)
        fresh, started = not folder.config.exists(), time.time()
        try:
            self.entry.run(folder.path, self.config, progress)
        except MangoError as error:
            return self.failed(str(error))
        metrics = read_json(folder.metrics)
        tested, validated = (Measured.from_dict(metrics[part]) for part in ("test", "val"))
        figures = RunFigures(
            tuple(
                ExitFigures(test.accuracy.value, val.accuracy.value, test.macs, test.params)
                for test, val in zip(tested.exits, validated.exits, strict=True)
            ),
            validated.exits[-1].count,
            _seconds(folder, started) if fresh else None,
            answers_of(folder).marks(),
            tested.guessing.commonest,
            Movement.from_dict(read_json(folder.movement)) if folder.movement.exists() else None,
        )
        return Outcome(self.entry.name, self.repeat, figures)

    def failed(self, reason: str) -> Outcome:
        """Return the outcome of a run that failed."""
        return Outcome(self.entry.name, self.repeat, None, " ".join(reason.split()))


def _seconds(folder: RunFolder, started: float) -> Seconds:
    searched, trained = folder.network.stat().st_mtime, folder.weights.stat().st_mtime
    return Seconds(searched - started, trained - searched, time.time() - started)
