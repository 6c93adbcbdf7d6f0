"""`mango-grader compare` as a function: search methods and baselines compared on one's own fruit; resumable."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mango_grader import __version__
from mango_grader.cores import cpu_name
from mango_grader.datasets import read_dataset
from mango_grader.datasets.record import DataRecord
from mango_grader.datasets.splits import check_divisible
from mango_grader.errors import MangoError, UsageError
from mango_grader.executors import HERE, Crashed, Needs, Site, Task
from mango_grader.files import read_json, write_json
from mango_grader.progress import LabelledProgress, Progress
from mango_grader.report import ComparisonData, write_comparison
from mango_grader.settings import checked, plain
from mango_grader.training.device import pick_device
from mango_grader.training.ranking import RankedEntry
from mango_grader.workflow.comparison.entries import read_entries, require_searches
from mango_grader.workflow.comparison.outcomes import ComparedRun, Outcome
from mango_grader.workflow.comparison.ranking import rank
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.run.data_changes import data_root, inspect_data
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how.

    Attributes:
        entries: METHOD, METHOD/SPACE or a baseline's name each.
        options: of every run; method, space, seed and fold are set for each run.
        seeds: number of runs of each entry.
        folds: number of folds of the one split that all runs are tested on.
        jobs: how many runs go on at a time.
    """

    entries: tuple[str, ...]
    options: SearchOptions
    seeds: int = 3
    folds: int = 5
    jobs: int = 1

    def at(self, path: str) -> "Comparison":
        """Return the same comparison with its data at `path`."""
        return replace(self, options=replace(self.options, data=path))

    def runs(self) -> tuple[ComparedRun, ...]:
        """Return every run, the first run of all entries first, so that a comparison cut short is still fair.

        Repeat r, from 1, has seed r − 1 and is tested on fold ((r − 1) mod folds) + 1.

        Raises:
            UsageError: entries, settings or data cannot be used.
        """
        entries = read_entries(self.entries)
        require_searches(entries, self.options)
        return tuple(
            ComparedRun(entry, repeat, entry.config(self._options_of(repeat)))
            for repeat in range(1, self.seeds + 1)
            for entry in entries
        )

    def _options_of(self, repeat: int) -> SearchOptions:
        fold = ((repeat - 1) % self.folds + 1, self.folds)
        return replace(self.options, seed=repeat - 1, fold=fold, split_seed=0)


@dataclass
class ComparisonFolder:
    """The folder of a comparison: its runs, comparison.json and comparison.html.

    Attributes:
        path: the folder.
        comparison: what is compared.
        outcomes: of the runs so far, by entry and repeat.
    """

    path: Path
    comparison: Comparison
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path, comparison: Comparison) -> "ComparisonFolder":
        """Return the folder with the outcomes that are kept there, if there are any.

        Args:
            path: the folder.
            comparison: what is compared.
        """
        folder = cls(path, comparison)
        if folder.json.exists():
            outcomes = checked(tuple[Outcome, ...], read_json(folder.json)["runs"])
            folder.outcomes.update({(each.entry, each.repeat): each for each in outcomes})
        return folder

    @property
    def json(self) -> Path:
        """The file with what was asked for, every run's figures, and the ranking."""
        return self.path / "comparison.json"

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.path / "comparison.html"

    @property
    def failures(self) -> Mapping[str, str]:
        """Reasons of the runs that failed, by run."""
        return {f"{each.entry} #{each.repeat}": each.error for each in self._ordered if each.error is not None}

    @property
    def ranking(self) -> tuple[RankedEntry, ...]:
        """Every entry, the best on validation first."""
        return rank(self._ordered)

    @property
    def _ordered(self) -> Sequence[Outcome]:
        """In the order of repeats and entries, so that nothing depends on which run was faster."""
        places = {entry.name: place for place, entry in enumerate(read_entries(self.comparison.entries))}
        return sorted(self.outcomes.values(), key=lambda each: (each.repeat, places[each.entry]))

    def add(self, outcome: Outcome) -> None:
        """Keep one more outcome, on disk too."""
        self.outcomes[outcome.entry, outcome.repeat] = outcome
        self.save()

    @property
    def page(self) -> ComparisonData:
        """The content of the page."""
        options = self.comparison.options
        return ComparisonData(
            title=Path(options.data).name,
            ranking=self.ranking,
            asked=self.comparison.seeds,
            budget=options.budget,
            failures=self.failures,
            settings=plain(self.comparison),
            provenance={"version": __version__, "cpu": cpu_name(), "cores": os.cpu_count(), "torch": torch.__version__},
        )

    def save(self) -> None:
        """Write comparison.json and the page."""
        page = self.page
        runs, places = [plain(each) for each in self._ordered], [plain(each) for each in page.ranking]
        found = {"comparison": page.settings, "conditions": page.provenance, "standings": places, "runs": runs}
        write_json(self.json, found)
        write_comparison(self.report, page)


_PATIENCE = 60.0  # seconds, for what is left of a run to end where it is begun again


def compare(
    out: str | os.PathLike[str],
    comparison: Comparison | None,
    *,
    resume: bool = False,
    reporter: Callable[[], Progress],
    data: str | None = None,
    site: Site = HERE,
) -> ComparisonFolder:
    """Do all runs of a comparison below one folder; return the folder with their outcomes.

    A run that fails is an outcome, too, and stops no other run.

    Args:
        out: the folder.
        comparison: what is compared; None where a comparison is resumed.
        resume: continue the comparison in `out`: finished runs are kept, unfinished runs continue, failed runs start
            again.
        reporter: makes the progress of each run, in the process that does the run.
        data: where the data are now, if they were moved since the comparison began.
        site: where the runs run. Elsewhere than here, data and `out` must lie where all machines see them.

    Raises:
        UsageError: the folder, the entries, the settings or the data cannot be used for any run.
    """
    folder = _opened(Path(out), comparison, resume, data)
    options = folder.comparison.options
    if folder.json.exists() and not data_root(options.data).is_dir():
        again = shlex.join(["mango-grader", "compare", "--resume", "--out", str(folder.path), "--data", "DIR"])
        raise UsageError(f"the images are no longer at {options.data}; say where they are now: {again}")
    check(folder.comparison, site)
    folder.path.mkdir(parents=True, exist_ok=True)
    with RunFolder(folder.path).locked():
        folder.save()
        for _ in carry_out({"": folder}, folder.comparison.jobs, reporter, site):
            pass
    return folder


def check(comparison: Comparison, site: Site) -> None:
    """Raise UsageError if none of a comparison's runs can be done, before anything is written.

    Args:
        comparison: what is compared.
        site: where the runs run.
    """
    options = comparison.options
    comparison.runs()
    check_divisible(read_dataset(options.data, options.group_by, options.ordinal, options.labels))
    if site.on == "local":
        pick_device(options.device)


def carry_out(
    folders: Mapping[str, ComparisonFolder], jobs: int, reporter: Callable[[], Progress], site: Site
) -> Iterator[str]:
    """Do the runs that comparisons lack, keep each outcome as soon as it is known, and yield its run's name.

    Args:
        folders: of the comparisons, by a name that is put before those of their runs.
        jobs: runs at a time on this machine.
        reporter: makes the progress of each run, in the process that does the run.
        site: where the runs run.
    """
    threads = site.threads(torch.get_num_threads(), jobs)
    left = {
        f"{place} {run.name}".strip(): (folder, run)
        for place, folder in folders.items()
        for run in folder.comparison.runs()
        if (run.entry.name, run.repeat) not in _finished(folder)
    }
    with site.open(jobs) as executor:
        for name, (folder, run) in sorted(left.items(), key=lambda each: each[1][1].repeat):
            action = partial(_perform, run, folder.path.absolute(), name, reporter, threads)
            executor.submit(Task(name, action, site.needs or Needs()))
        if executor.page is not None:
            reporter().note(f"all runs at a glance: {executor.page}")
        for name, result in executor.gather():
            folder, run = left[name]
            folder.add(run.failed(result.reason) if isinstance(result, Crashed) else result)
            yield name


def _perform(run: ComparedRun, out: Path, name: str, reporter: Callable[[], Progress], threads: int) -> Outcome:
    torch.set_num_threads(threads)
    progress = LabelledProgress(name, reporter())
    if (folder := RunFolder(out / run.folder)).path.exists():
        folder.wait_until_free(_PATIENCE)
    try:
        _require_same_data(run, out, progress)
    except MangoError as error:
        return run.failed(str(error))
    return run.perform(out, progress)


def _require_same_data(run: ComparedRun, out: Path, progress: Progress) -> None:
    """Raise UsageError if a new run would have other data than the runs before: they could not be compared."""
    before = next(iter(sorted(out.glob("*/*/data.json"))), None)
    if before is None or RunFolder(out / run.folder).begun:  # a run that has begun checks its data by itself
        return
    now = inspect_data(DataRecord.load(before), run.config.data, progress)
    if now is None or now.changes:
        changes = "they are gone" if now is None else now.changes
        where = run.config.data.path
        raise UsageError(f"the data in {where} are not those of the runs before: {changes}; restore them")


def _finished(folder: ComparisonFolder) -> set[tuple[str, int]]:
    return {key for key, outcome in folder.outcomes.items() if outcome.figures is not None}


def _opened(path: Path, comparison: Comparison | None, resume: bool, data: str | None) -> ComparisonFolder:
    if resume and (kept := path / "comparison.json").exists():
        return _resumed(path, read_json(kept), comparison, data)
    if comparison is None:
        raise UsageError(f"{path} holds no comparison to continue; give --data and --methods, or the right --out")
    require_new(path, path / "comparison.json")
    return ComparisonFolder(path, comparison)


def require_new(path: Path, begun: Path) -> None:
    """Raise UsageError if nothing new can begin in a folder.

    Args:
        path: the folder, which need not be there.
        begun: a file that only what can be continued has.
    """
    if path.exists() and (not path.is_dir() or any(item.name[0] != "." for item in path.iterdir())):
        hint = "add --resume to continue it" if begun.exists() else "choose a new or empty folder"
        raise UsageError(f"--out {path} is not empty; {hint}")


def _resumed(path: Path, kept: Mapping[str, Any], comparison: Comparison | None, data: str | None) -> ComparisonFolder:
    """Return the saved comparison on its data, wherever these are now: each run checks that they are the same."""
    saved = checked(Comparison, kept["comparison"])
    now = str(Path(data).resolve()) if data is not None else (comparison or saved).options.data
    if comparison is not None and plain(comparison) != plain(saved.at(now)):
        raise UsageError(f"--resume: {path} was started with other options; give the same, or only --out")
    return ComparisonFolder.opened(path, saved.at(now))
