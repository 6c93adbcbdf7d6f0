"""`mango-grader sweep` as a function: the same methods on several data sets, each within several limits; resumable."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from mango_grader.automl.objective import Metric, Over
from mango_grader.errors import UsageError
from mango_grader.executors import HERE, Site
from mango_grader.files import read_json, write_json
from mango_grader.progress import Progress
from mango_grader.ranges import Count
from mango_grader.report import SweepData, write_sweep
from mango_grader.settings import Section, checked, checked_section, plain
from mango_grader.text import seconds_in
from mango_grader.workflow.comparison.compare import Comparison, ComparisonFolder, carry_out, check, require_new
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.run.folder import RunFolder

_NAME = re.compile(r"\w[\w .-]*")


@dataclass(frozen=True)
class SweptData(Section):
    """One data set of a sweep.

    Attributes:
        path: folder of graded photos, or a CSV that names them; relative to the file of the sweep.
        group_by: what must stay on one side of a split, as --group-by takes it; None finds photos of the same fruit.
        ordinal: whether the classes have an order; None tells it from their names.
        labels: CSV of reviewed labels, relative likewise; None for none.
    """

    path: str
    group_by: str | None = None
    ordinal: bool | None = None
    labels: str | None = None


@dataclass(frozen=True)
class SweptLimits(Section):
    """Limits on the searched networks of some of a sweep's runs.

    Attributes:
        max_params: parameters; None for any number.
        max_macs: multiply-adds for an image; "none" for any number, None for the preset's.
        max_latency: milliseconds for an image; None for any.
    """

    max_params: Count | None = None
    max_macs: int | Literal["none"] | None = None
    max_latency: float | None = None


@dataclass(frozen=True)
class SweptOptions(Section):
    """What all runs of a sweep have alike, as the options of `compare`.

    Attributes:
        preset: name of the preset.
        budget: time of a run, such as "20m"; None takes as long as the preset needs.
        size: of the network's input, in pixels; None takes the preset's.
        device: "auto", "cpu", "cuda" or "cuda:N".
        init_from: what networks start from.
        metric: what searches maximise.
        over: how the scores of the exits are combined.
        cost: "macs" or "latency".
        retrain_on_all: whether results are trained a second time, on training and validation images together.
        settings: "name=value", as --set takes them.
    """

    preset: str = "quick"
    budget: str | None = None
    size: Count | None = None
    device: str = "auto"
    init_from: str = "auto"
    metric: Metric = "accuracy"
    over: Over = "mean"
    cost: Literal["macs", "latency"] = "macs"
    retrain_on_all: bool = False
    settings: tuple[str, ...] = ()

    def named(self) -> Mapping[str, Any]:
        """Return them as `SearchOptions` has them.

        Raises:
            UsageError: the budget is no duration.
        """
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        try:
            own["budget"] = None if self.budget is None else seconds_in(self.budget)
        except ValueError as error:
            raise UsageError(f"options.budget: {error}") from error
        own["size"] = None if self.size is None else (self.size, self.size)
        return own


@dataclass(frozen=True)
class SweepFile(Section):
    """A sweep as its TOML file states it.

    Attributes:
        methods: METHOD, METHOD/SPACE or a baseline's name each.
        data: the data sets, by name.
        limits: on the results, by name; without any, those of the preset.
        seeds: runs of each method on each data set within each limit.
        folds: of each data set's split.
        jobs: runs at a time on this machine.
        options: of all runs.
    """

    methods: tuple[str, ...]
    data: Mapping[str, SweptData]
    limits: Mapping[str, SweptLimits] = field(default_factory=dict)
    seeds: Count = 3
    folds: Count = 5
    jobs: Count = 1
    options: SweptOptions = SweptOptions()


@dataclass(frozen=True)
class Sweep:
    """What is swept: a comparison for each data set and limit.

    Attributes:
        cells: by their names, DATA or DATA/LIMITS.
        jobs: runs at a time on this machine.
    """

    cells: Mapping[str, Comparison]
    jobs: int = 1


def read_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Return the sweep that a TOML file states.

    Args:
        path: of the file; paths in it are relative to its folder.

    Raises:
        UsageError: the file cannot be read, or a value in it does not fit; one line that names it.
    """
    path = Path(path)
    try:
        found = checked_section(SweepFile, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if not found.data:
        raise UsageError(f'{path}: name a data set: [data.NAME] with path = "…"')
    for name in (*found.data, *found.limits):
        if not _NAME.fullmatch(name):
            raise UsageError(f"{path}: {name!r} is to be a folder's name; use letters, digits, spaces and . _ -")
    cells = dict(_cells(found, path.parent))
    folders = [_folder_of(name) for name in cells]
    if twice := next((name for name in folders if folders.count(name) > 1), None):
        raise UsageError(f"{path}: two comparisons would have the folder {twice}; rename a data set or a limit")
    return Sweep(cells, found.jobs)


def _folder_of(cell: str) -> str:
    return cell.replace("/", "-")


def _cells(found: SweepFile, home: Path) -> Iterator[tuple[str, Comparison]]:
    for data_name, data in found.data.items():
        own = {
            "data": str((home / data.path).resolve()),
            "group_by": data.group_by,
            "ordinal": data.ordinal,
            "labels": data.labels and str((home / data.labels).resolve()),
            **found.options.named(),
        }
        for limits_name, limits in (found.limits or {"": SweptLimits()}).items():
            name = f"{data_name}/{limits_name}" if limits_name else data_name
            limited = {each.name: getattr(limits, each.name) for each in fields(limits)}
            yield name, Comparison(found.methods, SearchOptions(**own, **limited), found.seeds, found.folds)


@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep: a comparison's folder for each cell, sweep.json and sweep.html.

    Attributes:
        path: the folder.
        sweep: what is swept.
        cells: the folders of its comparisons, by name.
    """

    path: Path
    sweep: Sweep
    cells: Mapping[str, ComparisonFolder]

    @property
    def json(self) -> Path:
        """The file with what was asked for."""
        return self.path / "sweep.json"

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.path / "sweep.html"

    @property
    def failures(self) -> Mapping[str, str]:
        """Reasons of the runs that failed, by cell and run."""
        return {f"{name} {run}": reason for name, cell in self.cells.items() for run, reason in cell.failures.items()}

    @property
    def page(self) -> SweepData:
        """The content of the page."""
        links = {name: os.fspath(cell.report.relative_to(self.path)) for name, cell in self.cells.items()}
        return SweepData(self.path.name, {name: cell.page for name, cell in self.cells.items()}, links)

    def save(self) -> None:
        """Write sweep.json and the page."""
        write_json(self.json, plain(self.sweep))
        write_sweep(self.report, self.page)


def sweep(
    out: str | os.PathLike[str],
    asked: Sweep | None,
    *,
    resume: bool = False,
    reporter: Callable[[], Progress],
    site: Site = HERE,
) -> SweepFolder:
    """Do all runs of a sweep below one folder; return the folder with their outcomes.

    Args:
        out: the folder.
        asked: what is swept; None where a sweep is resumed.
        resume: continue the sweep in `out`: finished runs are kept, unfinished runs continue, failed runs start again.
        reporter: makes the progress of each run, in the process that does the run.
        site: where the runs run. Elsewhere than here, data and `out` must lie where all machines see them.

    Raises:
        UsageError: the folder, the methods, the settings or the data cannot be used for any run.
    """
    path = Path(out)
    found = _asked(path, asked, resume)
    cells: dict[str, ComparisonFolder] = {}
    for name, comparison in found.cells.items():
        check(comparison, site)
        cells[name] = ComparisonFolder.opened(path / _folder_of(name), comparison)
    folder = SweepFolder(path, found, cells)
    with ExitStack() as locks:
        for cell in cells.values():
            cell.path.mkdir(parents=True, exist_ok=True)
            locks.enter_context(RunFolder(cell.path).locked())
            cell.save()
        folder.save()
        for _ in carry_out(cells, found.jobs, reporter, site):
            folder.save()
    return folder


def _asked(path: Path, asked: Sweep | None, resume: bool) -> Sweep:
    kept = path / "sweep.json"
    if resume and kept.exists():
        saved = checked(Sweep, read_json(kept))
        if asked is not None and plain(asked) != plain(saved):
            raise UsageError(f"--resume: {path} was started with another sweep; give the same file, or only --out")
        return saved
    if asked is None:
        raise UsageError(f"{path} holds no sweep to continue; name its TOML file, or the right --out")
    require_new(path, kept)
    return asked
