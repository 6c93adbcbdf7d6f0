"""Options that `search`, `train` and `compare` share, and the folder that they leave everything in."""

import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from mango_grader.cli.interrupts import resumable
from mango_grader.cli.options import group_by_option, ordinal_option
from mango_grader.cli.types import Duration, Fold, Size
from mango_grader.errors import MangoError, UsageError
from mango_grader.workflow.config import Places
from mango_grader.workflow.options import find_places
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.data_changes import data_root
from mango_grader.workflow.run.folder import RunFolder

Function = TypeVar("Function", bound=Callable[..., Any])

_SHARED = (
    click.option("--data", metavar="DIR", help="Folder of graded photos: a folder per class, or a CSV and images."),
    click.option("--out", metavar="DIR", help="Output directory.  [default: runs/NAME-DATE]"),
    group_by_option,
    ordinal_option,
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="quick",
        show_default=True,
        help="; ".join(f"{name}: {preset.help}" for name, preset in PRESETS.items()),
    ),
    click.option(
        "--budget", type=Duration(), metavar="TIME", help="Finish within TIME, the bundle included: 20m, 1h30m."
    ),
    click.option(
        "--device", default="auto", show_default=True, help="Where networks are trained: auto, cpu, cuda or cuda:N."
    ),
    click.option(
        "--size", type=Size(), metavar="PIXELS|HxW", help="Size of the network's input.  [default: the preset's]"
    ),
    click.option(
        "--retrain-on-all",
        "--refit",
        "retrain_on_all",
        is_flag=True,
        help="Train the result a second time, on training and validation images together.",
    ),
    click.option(
        "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change any setting, such as train.epochs=20."
    ),
    click.option("--resume", is_flag=True, help="Continue an interrupted run; only --out is needed."),
)
_OF_ONE_RUN = (
    click.option("--fold", type=Fold(), metavar="K/N", help="Test on fold K of N (cross-validation)."),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the split, the search and the training.",
    ),
    click.option(
        "--init-from",
        metavar="RUN|NAME",
        help="Start from the weights of a run, as far as they fit, or from ImageNet's (efficientnet-lite0).",
    ),
    click.option(
        "--teacher",
        metavar="RUN|FILE|NAME",
        help="Also learn from a teacher's answers: a run, a .mango, an .onnx classifier or a torchvision model.",
    ),
    click.option("--unlabelled", metavar="DIR", help="Further images; only the teacher's answers to them are learned."),
    click.option("--plan-only", is_flag=True, help="Time a few steps, print the budget plan and stop."),
)


def run_options(function: Function) -> Function:
    """Add the options of a run."""
    return shared_options(_with(_OF_ONE_RUN, function))


def shared_options(function: Function) -> Function:
    """Add the options that one run and a comparison of many have in common."""
    return _with(_SHARED, function)


def _with(options: Sequence[Callable[[Function], Function]], function: Function) -> Function:
    for option in reversed(options):
        function = option(function)
    return function


_RUNS = Path("runs")
_BEGUN = ("config.json", "comparison.json")  # what a run and a comparison begin with
_PLACES = ("data", "init_from", "teacher", "unlabelled")
_NOT_SETTINGS = {*_PLACES, "out", "resume", "plan_only", "progress", "reporter"}


def moved_places(out: str | None, resume: bool) -> Places | None:
    """Return where those things are now that were moved, where a run is resumed and no setting is said with them.

    Raises UsageError for settings without the data that go with them.
    """
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


def _require_data(folder: RunFolder, data: str | None) -> None:
    """Raise UsageError where the data of an unfinished run are not where they are said to be."""
    if data is None or data_root(data).is_dir() or folder.finished or not folder.config.exists():
        return
    raise UsageError(f"the images are not at {data}; pass where they are now: {folder.resuming(data='DIR')}")


@contextmanager
def run_folder(out: str | None, data: str | None, resume: bool) -> Iterator[str]:
    """Yield the folder of a run: `out`, or a new one below runs/, which is printed, and goes if the run is refused.

    An interruption prints the command that continues the run.
    """

    def continuing() -> str | None:
        return RunFolder(path).resuming() if RunFolder(path).config.exists() else None

    with _folder(out, data, resume) as path, resumable(continuing):
        yield str(path)


@contextmanager
def comparison_folder(out: str | None, data: str | None, resume: bool) -> Iterator[str]:
    """Yield the folder of a comparison, as `run_folder` does that of a run."""

    def continuing() -> str | None:
        command = shlex.join(["mango-grader", "compare", "--resume", "--out", str(path)])
        return command if (path / "comparison.json").exists() else None

    with _folder(out, data, resume, "-compared") as path, resumable(continuing):
        yield str(path)


@contextmanager
def _folder(out: str | None, data: str | None, resume: bool, what: str = "") -> Iterator[Path]:
    """Yield `out`, or a new folder named after the data, `what` and the time, which goes if the body is refused."""
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
    """Make a folder that was not there; of several processes that ask for one name, each gets its own."""
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
