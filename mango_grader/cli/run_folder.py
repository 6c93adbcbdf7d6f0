"""The folder of a run or comparison: a new one, or one to continue."""

import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mango_grader.cli.interrupts import resumable
from mango_grader.errors import MangoError, UsageError

if TYPE_CHECKING:
    from mango_grader.workflow.config import Places
    from mango_grader.workflow.run.folder import RunFolder

_RUNS = Path("runs")
_BEGUN = ("config.json", "comparison.json")  # the first files of a run and of a comparison
_PLACES = ("data", "init_from", "teacher", "unlabelled")
_NOT_SETTINGS = {*_PLACES, "out", "resume", "plan_only", "progress", "reporter", "on", "cores", "gpus", "memory"}


def moved_places(out: str | None, resume: bool) -> "Places | None":
    """Return where data, start and teacher are now, if a run is resumed and no settings are given.

    Args:
        out: what `--out` names; None without it.
        resume: whether `--resume` is given.

    Raises:
        UsageError: settings are given without the data that belong to them.
    """
    from mango_grader.workflow.options import find_places
    from mango_grader.workflow.run.folder import RunFolder

    context = click.get_current_context()
    said = {
        option.name: option.opts[0]
        for option in context.command.params
        if option.name is not None and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    }
    settings = [written for name, written in said.items() if name not in _NOT_SETTINGS]
    if resume and "data" not in said and settings:
        shown = ", ".join(settings)
        raise UsageError(
            f"--resume continues with the run's own settings; leave out {shown}, or give --data and all options"
        )
    if not resume or out is None or not any(Path(out, name).exists() for name in _BEGUN):
        return None
    _require_data(RunFolder(Path(out)), context.params["data"])
    if settings:
        return None
    return find_places(**{name: context.params[name] for name in _PLACES if name in said})


def _require_data(folder: "RunFolder", data: str | None) -> None:
    """Raise UsageError if the data of an unfinished run are not at `data`."""
    from mango_grader.workflow.run.data_changes import data_root

    if data is None or data_root(data).is_dir() or folder.finished or not folder.config.exists():
        return
    raise UsageError(f"the images are not at {data}; pass where they are now: {folder.resuming(data='DIR')}")


@contextmanager
def run_folder(out: str | None, data: str | None, resume: bool) -> Iterator[str]:
    """Yield the folder of a run: `out`, or a new one below runs/, which is printed, and removed if the run is refused.

    An interruption prints the command that continues the run.

    Args:
        out: what `--out` names; None takes a new folder.
        data: what `--data` names, after which a new folder is called.
        resume: whether `--resume` is given; it needs `out`.

    Raises:
        UsageError: there is neither `out` nor what a new folder needs.
    """
    from mango_grader.workflow.run.folder import RunFolder

    def continuing() -> str | None:
        return RunFolder(path).resuming() if RunFolder(path).config.exists() else None

    with _folder(out, data, resume) as path, resumable(continuing):
        yield str(path)


@contextmanager
def comparison_folder(out: str | None, data: str | None, resume: bool) -> Iterator[str]:
    """Yield the folder of a comparison, as `run_folder` does that of a run.

    Args:
        out: what `--out` names; None takes a new folder.
        data: what `--data` names, after which a new folder is called.
        resume: whether `--resume` is given; it needs `out`.
    """

    def continuing() -> str | None:
        command = shlex.join(["mango-grader", "compare", "--resume", "--out", str(path)])
        return command if (path / "comparison.json").exists() else None

    with _folder(out, data, resume, "-compared") as path, resumable(continuing):
        yield str(path)


@contextmanager
def _folder(out: str | None, data: str | None, resume: bool, what: str = "") -> Iterator[Path]:
    """Yield `out`, or a new folder named after data, `what` and time, which is removed if the body is refused."""
    from mango_grader.workflow.run.data_changes import data_root

    if out is not None:
        yield Path(out)
        return
    if resume:
        raise UsageError(f"--resume: name the run to continue with --out DIR{_newest()}")
    if data is None:
        raise UsageError("name the graded photos: --data DIR")
    path = claim(f"{data_root(data).resolve().name or 'run'}{what}-{time.strftime('%Y-%m-%d-%H%M%S')}")
    click.echo(f"run folder: {path}", err=True)
    try:
        yield path
    except MangoError:
        if not any(path.rglob("plan.json")):
            shutil.rmtree(path, ignore_errors=True)
        raise


def claim(name: str) -> Path:
    """Make a new folder below runs/; several processes that ask for one name get a folder each."""
    for number in count(1):
        path = _RUNS / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise AssertionError


def _newest() -> str:
    begun = [path for name in _BEGUN for path in _RUNS.glob(f"*/{name}")]
    newest = max(begun, key=lambda path: path.stat().st_mtime, default=None)
    return "" if newest is None else f"; the newest here is {newest.parent}"
