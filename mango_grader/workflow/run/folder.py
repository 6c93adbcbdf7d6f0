"""RunFolder: the files of a run, and how a run is opened, continued or refused."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mango_grader.errors import UsageError
from mango_grader.files import locked, read_json, to_json, write_json, write_text
from mango_grader.runtime.bundle.archive import MODEL
from mango_grader.workflow.config import DataConfig, Places, RunConfig

_LOCK = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; each is written whole or not at all.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Every setting."""
        return self.path / "config.json"

    @property
    def data(self) -> Path:
        """The data as the run found them: classes in order, and every image with its class and digest."""
        return self.path / "data.json"

    @property
    def reviewed(self) -> Path:
        """The reviewed labels as the run found them; only where it has some."""
        return self.path / "reviewed.csv"

    @property
    def cache(self) -> Path:
        """Folder of the decoded images, in one file or, of a large data set, in several."""
        return self.path / "cache"

    def other_caches(self) -> list[Path]:
        """Return the same folders of the other runs of its comparison; none of a run by itself."""
        comparison = self.path.absolute().parent.parent
        found = comparison.glob("*/seed-*/cache") if (comparison / "comparison.json").exists() else ()
        return sorted(each for each in found if each != self.cache.absolute())

    @property
    def sources(self) -> Path:
        """Digests of the weights that it starts from and of its teacher."""
        return self.path / "sources.json"

    @property
    def split(self) -> Path:
        """Which images are for training, validation and test."""
        return self.path / "split.json"

    @property
    def plan(self) -> Path:
        """The budget plan: how long everything runs, fixed before the first step."""
        return self.path / "plan.json"

    @property
    def space(self) -> Path:
        """The space that is searched, narrowed to the limits."""
        return self.path / "space.json"

    @property
    def history(self) -> Path:
        """One line per search round, candidate and training epoch."""
        return self.path / "history.jsonl"

    @property
    def search_checkpoint(self) -> Path:
        """State of an unfinished search."""
        return self.path / "checkpoints" / "search.safetensors"

    def training_checkpoint(self, phase: str) -> Path:
        """State of an unfinished training.

        Args:
            phase: "train", or "refit" of the second training on all images.
        """
        return self.path / "checkpoints" / f"{phase}.safetensors"

    @property
    def teacher(self) -> Path:
        """Folder of the teacher's own weights, answers and figures."""
        return self.path / "teacher"

    @property
    def teacher_figures(self) -> Path:
        """How accurate the teacher itself is."""
        return self.teacher / "figures.json"

    @property
    def teacher_choice(self) -> Path:
        """Which teacher `--teacher auto` stands for."""
        return self.teacher / "choice.json"

    @property
    def architecture(self) -> Path:
        """What the search found."""
        return self.path / "architecture.json"

    @property
    def preference(self) -> Path:
        """How likely the search was to choose each candidate at its end."""
        return self.path / "preference.json"

    @property
    def movement(self) -> Path:
        """What the search has changed since its first step, beside what chance would change."""
        return self.path / "movement.json"

    @property
    def network(self) -> Path:
        """The whole network, layer by layer."""
        return self.path / "network.json"

    @property
    def inherited(self) -> Path:
        """The weights with which the training of the found network begins; not there where it inherits none."""
        return self.path / "inherited.safetensors"

    @property
    def shortlist(self) -> Path:
        """The networks of the short list, and what came of their short trainings; its presence ends the search."""
        return self.path / "shortlist.json"

    def shortlisted(self, number: int) -> Path:
        """The weights that a network of the short list inherits.

        Args:
            number: of the network, from 1.
        """
        return self.path / "shortlist" / f"{number}.safetensors"

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.path / "weights.safetensors"

    @property
    def weights_before_refit(self) -> Path:
        """Of a run that retrains on all images, the weights of its first training, which saw no validation image."""
        return self.path / "validated.safetensors"

    @property
    def border(self) -> Path:
        """How well a probe predicts labels from the image border alone; null where there are too few images."""
        return self.path / "border.json"

    @property
    def metrics(self) -> Path:
        """Measurements on validation and test data, exit by exit."""
        return self.path / "metrics.json"

    @property
    def predictions(self) -> Path:
        """One line per test image: the probabilities that every exit gave."""
        return self.path / "predictions.jsonl"

    @property
    def model(self) -> Path:
        """The bundle that grades."""
        return self.path / MODEL

    @property
    def report(self) -> Path:
        """The report to look at."""
        return self.path / "report.html"

    @property
    def warnings(self) -> Path:
        """The report's warnings, one line each."""
        return self.path / "warnings.json"

    def read_warnings(self) -> list[str]:
        """Return the report's warnings; none for a run of a version that did not keep them."""
        return [str(line) for line in read_json(self.warnings)] if self.warnings.exists() else []

    def read_config(self) -> RunConfig:
        """Return the run's settings.

        Raises:
            UsageError: the folder holds no run.
        """
        if not self.config.exists():
            raise UsageError(f"{self.path} holds no run (no {self.config.name}); check the path")
        return RunConfig.from_dict(read_json(self.config))

    def own_labels(self, config: DataConfig) -> DataConfig:
        """Return the same data with the reviewed labels that the run began with, wherever those are that it copied.

        Args:
            config: of the run's data.
        """
        return replace(config, labels=str(self.reviewed)) if self.reviewed.exists() else config

    def write_history(self, *parts: Sequence[Mapping[str, Any]]) -> None:
        """Write the history.

        Args:
            *parts: rows, in order.
        """
        write_text(self.history, "".join(to_json(row) + "\n" for part in parts for row in part))

    def read_history(self) -> list[dict[str, Any]]:
        """Return all rows, none if nothing was written yet."""
        return [json.loads(line) for line in self.history.read_text().splitlines()] if self.history.exists() else []

    @property
    def begun(self) -> bool:
        """Whether it has a plan; from then on its result is fixed."""
        return self.plan.exists()

    @property
    def finished(self) -> bool:
        """Whether weights, figures, report and bundle are all there."""
        return all(path.exists() for path in (self.weights, self.metrics, self.report, self.model))

    def resuming(self, data: str | None = None) -> str:
        """Return the command that continues the run.

        Args:
            data: where its data are now; None where they did not move.
        """
        command = "train" if self.read_config().search is None else "search"
        moved = [] if data is None else ["--data", data]
        return shlex.join(["mango-grader", command, "--resume", "--out", str(self.path), *moved])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; a process that is killed releases it.

        Raises:
            UsageError: another process holds it.
        """
        busy = f"{self.path} is in use by another process; wait for it, or choose another --out"
        with locked(self.path / _LOCK, busy):
            for torn in self.path.rglob("*.part"):
                torn.unlink()  # what a killed process had not finished writing
            yield

    def wait_until_free(self, seconds: float) -> None:
        """Return once no other process holds the folder, or after so many seconds.

        The process of a machine that a cluster has given up may end a moment after its run is begun again elsewhere.

        Args:
            seconds: 0 or more.
        """
        with suppress(UsageError), locked(self.path / _LOCK, "", wait=seconds):
            pass

    def forget(self) -> None:
        """Remove what a run that was refused or killed before its plan has left."""
        for path in (self.data, self.reviewed, self.sources, self.split, self.space):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.teacher, ignore_errors=True)


@contextmanager
def opened(
    path: str | os.PathLike[str], config: RunConfig | None, *, resume: bool, moved: Places | None = None
) -> Iterator[tuple[RunFolder, RunConfig]]:
    """Hold the folder of a run, and yield it with its configuration, as `open_run` returns them.

    Nothing in a folder that another process holds is touched.

    Args:
        path: of the folder.
        config: of a new run; None takes the saved one.
        resume: whether the folder may hold a run, which is then continued.
        moved: where those things are now that were moved.

    Raises:
        UsageError: the folder cannot be used, or another process holds it.
    """
    folder = RunFolder(Path(path))
    _usable(folder, config, resume)
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.locked():
        yield open_run(path, config, resume=resume, moved=moved)


def open_run(
    path: str | os.PathLike[str], config: RunConfig | None, *, resume: bool, moved: Places | None = None
) -> tuple[RunFolder, RunConfig]:
    """Return the folder and configuration of a run, new or resumed.

    A new run needs an empty or new folder. A run that was refused or killed before its plan starts afresh.

    Args:
        path: of the folder.
        config: of a new run. Where a run is resumed, the saved one counts, and this must be the same, but for where
            things are; None takes the saved one.
        resume: whether the folder may hold a run, which is then continued.
        moved: where those things are now that were moved.

    Raises:
        UsageError: the folder cannot be used, or its run began with other options.
    """
    folder = RunFolder(Path(path))
    _usable(folder, config, resume)
    if folder.config.exists() and (folder.path / _LOCK).exists() and not folder.begun:
        folder.forget()
    if resume and folder.config.exists():
        saved = folder.read_config()
        now = moved or (config or saved).places
        if config is not None and config.at(now) != saved.at(now):
            raise UsageError(f"--resume: {folder.path} was started with other options; pass the same, or only --out")
        for name, place in asdict(moved).items() if moved else ():
            if place is not None and getattr(saved.places, name) is None:
                raise UsageError(
                    f"--resume: {folder.path} was started without --{name.replace('_', '-')}; leave it out"
                )
        return folder, saved.at(now)
    assert config is not None
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(folder.config, config.to_dict())
    return folder, config


def _usable(folder: RunFolder, config: RunConfig | None, resume: bool) -> None:
    """Raise UsageError if the folder holds no run to continue and a new one cannot begin in it."""
    if resume and folder.config.exists():
        return
    if config is None:
        raise UsageError(
            f"{folder.path} holds no run to continue; pass --data to start one, or --resume with another --out"
        )
    if folder.path.exists() and not folder.path.is_dir():
        raise UsageError(f"--out {folder.path} is a file; name a folder")
    if folder.config.exists() and (folder.path / _LOCK).exists() and not folder.begun:
        return  # it was refused before its first step, for its data or its budget
    if folder.path.exists() and any(
        item.name != _LOCK and not item.name.endswith(".part") for item in folder.path.iterdir()
    ):
        hint = "add --resume to continue it" if folder.config.exists() else "choose a new or empty folder"
        raise UsageError(f"--out {folder.path} is not empty; {hint}")
