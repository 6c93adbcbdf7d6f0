"""What can be compared: a search method on a space, or a known network; both get the same options."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol

from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.errors import UsageError
from mango_grader.models.baselines import BASELINES
from mango_grader.progress import Progress
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.options import NONE, RunOptions, SearchOptions, TrainOptions
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.search import search
from mango_grader.workflow.train import train

_OF_SEARCHES = ("method.", "space.", "search.")


class Runner(Protocol):
    """Something that does one run of a comparison."""

    @property
    def name(self) -> str:
        """Its name in the comparison; its folder has the same name, with "-" for "/"."""

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        """Do the run, or what is missing of it.

        Args:
            out: folder of the run.
            config: all settings of the run.
            progress: told what happens.
        """


class Entry(Runner, Protocol):
    """What a comparison runs; all entries get the same options."""

    def config(self, options: SearchOptions) -> RunConfig:
        """Return one run's configuration; raises UsageError where an option does not fit."""


@dataclass(frozen=True)
class Searched:
    """A search method on a space, followed by the training of its result.

    Attributes:
        method: name of the method.
        space: name of the space.
    """

    method: str
    space: str

    @property
    def name(self) -> str:
        """METHOD/SPACE."""
        return f"{self.method}/{self.space}"

    def config(self, options: SearchOptions) -> RunConfig:
        """Return one run's configuration; raises UsageError where an option does not fit.

        The teacher that a search has by default would favour searches over known networks, so there is none unless it
        is named.
        """
        return replace(options, method=self.method, space=self.space, teacher=options.teacher or NONE).config()

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        """Do the run, or what is missing of it.

        Args:
            out: folder of the run.
            config: all settings of the run.
            progress: told what happens.
        """
        return search(out, config, resume=RunFolder(out).config.exists(), progress=progress)


@dataclass(frozen=True)
class Trained:
    """The training of a known network, without limits on its size.

    Attributes:
        name: its name among the baselines.
    """

    name: str

    def config(self, options: SearchOptions) -> RunConfig:
        """Return one run's configuration, settings of searches left out; raises UsageError where an option is wrong."""
        shared = {field.name: getattr(options, field.name) for field in fields(RunOptions)}
        shared["settings"] = [each for each in options.settings if not each.startswith(_OF_SEARCHES)]
        return TrainOptions(**shared, baseline=self.name).config()

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        """Do the run, or what is missing of it.

        Args:
            out: folder of the run.
            config: all settings of the run.
            progress: told what happens.
        """
        return train(out, config, resume=RunFolder(out).config.exists(), progress=progress)


def require_searches(entries: Sequence[Entry], options: SearchOptions) -> None:
    """Raise UsageError if there are options of searches, but no entry searches.

    Args:
        entries: what is compared.
        options: of every run.
    """
    if any(isinstance(entry, Searched) for entry in entries):
        return
    limits = {"max-params": options.max_params, "max-macs": options.max_macs, "max-latency": options.max_latency}
    idle = [f"--{name} {value}" for name, value in limits.items() if value is not None]
    if idle := idle + [f"--set {each}" for each in options.settings if each.startswith(_OF_SEARCHES)]:
        raise UsageError(f"{' and '.join(idle)} would be ignored: none of --methods is a search; leave out or add one")


def read_entries(written: Sequence[str]) -> tuple[Entry, ...]:
    """Return the entries of METHOD (on its default space), METHOD/SPACE or baseline names.

    Raises:
        UsageError: a name is unknown or stands twice, or there is no name.
    """
    entries = [_entry(each.strip()) for each in written]
    names = [entry.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"--methods names {', '.join(sorted(twice))} twice")
    if not entries:
        raise UsageError("--methods: name what to compare, for example enas,random/layerwise,shufflenet_v2_x0_5")
    return tuple(entries)


def _entry(written: str) -> Entry:
    if written in BASELINES:
        return Trained(written)
    method, slash, space = written.partition("/")
    if method not in METHODS:
        known = ", ".join((*METHODS, *sorted(BASELINES)))
        raise UsageError(f"--methods {written}: choose from {known}, a method also as METHOD/SPACE")
    if slash and space not in SPACES:
        raise UsageError(f"--methods {written}: the spaces are {', '.join(SPACES)}")
    return Searched(method, space or METHODS[method].default_space)
