"""`mango-grader conveyor run`: frames of a belt in, one decision per fruit out."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.conveyor.source_options import source_argument
from mango_grader.cli.interrupts import resumable, stopping
from mango_grader.cli.options import (
    chosen_precision,
    decide_option,
    finish,
    model_option,
    policy_option,
    precision_option,
    progress_option,
    provider_option,
)
from mango_grader.errors import UsageError
from mango_grader.progress import Progress, Task
from mango_grader.text import one_line

if TYPE_CHECKING:
    from mango_grader.line import Frame, LineConfig, Sink, Source

_DATABASES = (".db", ".sqlite", ".sqlite3")


@click.command()
@source_argument
@model_option
@click.option("--config", metavar="FILE", help="Configuration of the line, as `conveyor calibrate` writes it.")
@click.option(
    "--out",
    "outs",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Write one row per fruit to FILE: .csv, .jsonl, .parquet, or .db for SQLite; may be given again. The log is "
    "kept in FILE.log.",
)
@click.option("--lot", default="", metavar="NAME", help="Name of the lot, for every row.")
@click.option("--run", metavar="NAME", help="Unique name of the run, with which ids begin; day and time by default.")
@click.option("--resume", is_flag=True, help="Go on with the log of a run that was stopped or killed.")
@click.option("--realtime", is_flag=True, help="Keep the deadline of the configuration; files play at their own speed.")
@policy_option("Exit policy: when to stop.")
@decide_option("Decision rule: what to answer, and what to ask a person.")
@provider_option
@precision_option
@progress_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    source: "Source",
    model: str,
    config: str | None,
    outs: tuple[str, ...],
    provider: str,
    precision: str,
    progress: Progress,
    **options: Any,
) -> None:
    """Grade the fruit on a belt; one decision per fruit.

    SOURCE is a folder of frames or a video. Fruit are found, followed and counted once, as they pass the decision line.
    Each decision is on the disk, in FILE.log, before anybody hears of it: a run that was killed goes on with --resume,
    and no fruit is missing or comes twice. `conveyor verify FILE.log` checks the log.

    Exit code 3 means that some frames could not be read or were lost, that fruit have no grade, or that a sink has not
    got everything.
    """
    from mango_grader.line import Line, LineOptions, LogFolder
    from mango_grader.line.tables import TableKeeper, check_table
    from mango_grader.runtime.inference.grader import Grader

    settings = _config(config, options.pop("policy"), options.pop("decide"))
    tables = [out for out in outs if Path(out).suffix.lower() not in _DATABASES]
    for table in tables:
        check_table(table, resume=options["resume"])
    log = LogFolder(f"{outs[0]}.log")
    chosen = chosen_precision(model, provider, precision, progress)
    grader = Grader.load(model, provider, chosen, settings.grading.policy, settings.grading.decide)
    with resumable(lambda: _again(ctx)), progress.task("frames", len(source)) as task:
        line = Line(
            source,
            grader,
            settings,
            log=str(log.path),
            sinks=_sinks(settings, outs),
            observers=[_Shown(task)] if source.finite else [],
            options=LineOptions(**options),
        )
        with TableKeeper(tables, log, live=not source.finite) as keeper, stopping(line.stop):
            for _ in line:
                keeper.news()
    for state in line.deliveries:
        progress.note(one_line(str(state)))
    progress.note(f"{line.tally} → {one_line(', '.join(outs))}")
    finish(line.tally.sound and not any(state.waiting or state.missed for state in line.deliveries))


class _Shown:
    """Reports the frames of a finite source as progress."""

    def __init__(self, task: Task) -> None:
        self._task, self._done, self._fruit = task, 0, 0

    def see(self, frame: "Frame", sightings: Sequence[object], decisions: Sequence[object]) -> None:
        self._fruit += len(decisions)
        self._task.advance(frame.index + 1 - self._done, fruit=self._fruit)
        self._done = frame.index + 1


def _config(path: str | None, policy: str | None, decide: str | None) -> "LineConfig":
    from mango_grader.line import read_config

    if path is None:
        raise UsageError("give --config line.toml; `mango-grader conveyor calibrate SOURCE` writes it")
    config = read_config(path)
    grading = config.grading
    grading = replace(grading, policy=policy or grading.policy, decide=decide or grading.decide)
    return replace(config, grading=grading)


def _sinks(config: "LineConfig", outs: Sequence[str]) -> "list[Sink]":
    from mango_grader.line.sinks.sqlite import SqliteSettings

    databases = [out for out in outs if Path(out).suffix.lower() in _DATABASES]
    own = [SqliteSettings(out, name=f"out-{number}") for number, out in enumerate(databases, 1)]
    return [settings.build() for settings in (*config.sinks, *own)]


def _again(ctx: click.Context) -> str:
    """Return the command that continues this one."""
    words = ["mango-grader", "conveyor", "run"]
    for option in ctx.command.params:
        name = str(option.name)
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and isinstance(option, click.Option) and name not in ("progress", "resume"):
            value = ctx.params[name]
            for one in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0], *([] if option.is_flag else [str(one)])]
    source = str(ctx.params["source"])
    return shlex.join([*words, "--resume", *(["--"] if source.startswith("-") else []), source])
