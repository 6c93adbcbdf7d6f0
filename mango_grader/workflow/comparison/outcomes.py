"""One run of a comparison, and what became of it as plain data."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

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
    """One exit: accuracy on the test and on the validation part, in [0, 1]; multiply-adds and parameters up to it."""

    accuracy: float
    validation: float
    macs: int
    params: int


@dataclass(frozen=True)
class Seconds:
    """Wall-clock. search: up to the network, preparing the data included; train: up to its weights; whole: all."""

    search: float
    train: float
    whole: float


@dataclass(frozen=True)
class RunFigures:
    """What a finished run achieved.

    validated: on so many validation pictures. seconds: None where it was interrupted. right: who answered which test
    picture right. commonest: share of the commonest class among the test images; None in files of earlier versions.
    """

    exits: tuple[ExitFigures, ...]
    validated: int
    seconds: Seconds | None
    correct: Annotated[Marks, Field(alias="right")]
    commonest: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an entry's run number `repeat`, from 1: its figures, or in one line why there are none."""

    entry: str
    repeat: int
    figures: RunFigures | None
    error: str | None = None


@dataclass(frozen=True)
class ComparedRun:
    """Run number `repeat`, from 1, of an entry; it travels to another process."""

    entry: Runner
    repeat: int
    config: RunConfig

    @property
    def name(self) -> str:
        """ENTRY #REPEAT, for people."""
        return f"{self.entry.name} #{self.repeat}"

    @property
    def folder(self) -> Path:
        """Its folder, below that of the comparison."""
        return Path(self.entry.name.replace("/", "-"), f"seed-{self.config.seed}")

    def perform(self, out: Path, progress: Progress) -> Outcome:
        """Do the run below `out`, or what is missing of it; a failure that a user can mend is an outcome, too."""
        folder = RunFolder(out / self.folder)
        fresh, started = not folder.config.exists(), time.time()
        try:
            self.entry.run(folder.path, self.config, progress)
        except MangoError as error:
            return self.failed(str(error))
        metrics = read_json(folder.metrics)
        tested, validated = metrics["test"]["exits"], metrics["val"]["exits"]
        figures = RunFigures(
            tuple(
                ExitFigures(test["accuracy"]["value"], val["accuracy"]["value"], test["macs"], test["params"])
                for test, val in zip(tested, validated, strict=True)
            ),
            validated[-1]["count"],
            _seconds(folder, started) if fresh else None,
            answers_of(folder).marks(),
            Measured.from_dict(metrics["test"]).guessing.commonest,
        )
        return Outcome(self.entry.name, self.repeat, figures)

    def failed(self, reason: str) -> Outcome:
        """Return the outcome of a run that came to nothing."""
        return Outcome(self.entry.name, self.repeat, None, " ".join(reason.split()))


def _seconds(folder: RunFolder, started: float) -> Seconds:
    searched, trained = folder.network.stat().st_mtime, folder.weights.stat().st_mtime
    return Seconds(searched - started, trained - searched, time.time() - started)
