"""`mango-grader conveyor run`: frames of a belt in, one decision per fruit out."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.conveyor.source_options import source_argument
from mango_grader.cli.interrupts import continuing, resumable, stopping
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
    from mango_grader.line import AnnotatedClip, Buffered, Decision, Frame, LineConfig, Sink, Source

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
@click.option(
    "--realtime",
    is_flag=True,
    help="Keep the deadline of the configuration; files play at their own speed. A camera always keeps it.",
)
@click.option("--record", metavar="DIR", help="Keep the frames in DIR, as `conveyor replay` reads them.")
@click.option(
    "--clip",
    metavar="FILE",
    help="Write what is seen and decided as a video: .mp4, .avi, or .webm, which browsers play.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Serve counts for Prometheus at this port, to this machine alone.",
)
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
    record: str | None,
    clip: str | None,
    metrics_port: int | None,
    provider: str,
    precision: str,
    progress: Progress,
    **options: Any,
) -> None:
    """Grade the fruit on a belt; one decision per fruit.

    SOURCE is a folder of frames, a video, a hot folder (hot:DIR) or a camera (camera:0, rtsp://…). Fruit are found,
    followed and counted once, as they pass the decision line. Each decision is on the disk, in FILE.log, before anybody
    hears of it: a run that was killed goes on with --resume, and no fruit is missing or comes twice. `conveyor verify
    FILE.log` checks the log. The lot report is FILE.html.

    Exit code 3 means that some frames could not be read or were lost, that fruit have no grade, or that a sink or the
    clip has not got everything.
    """
    from mango_grader.line import Line, LineOptions, LogFolder, Recording, buffered
    from mango_grader.line.report import LotNotes, write_report
    from mango_grader.line.tables import TableKeeper, check_table
    from mango_grader.runtime.grading.outputs import PAGE, check_replaceable
    from mango_grader.runtime.inference.grader import Grader

    settings = _config(config, options.pop("policy"), options.pop("decide"))
    options["realtime"] = options["realtime"] or _is_camera(source)
    tables = [out for out in outs if Path(out).suffix.lower() not in _DATABASES]
    for table in tables:
        check_table(table, resume=options["resume"])
    log, page = LogFolder(f"{outs[0]}.log"), f"{outs[0]}.html"
    check_replaceable(page, PAGE)
    chosen = chosen_precision(model, provider, precision, progress)
    grader = Grader.load(model, provider, chosen, settings.grading.policy, settings.grading.decide)
    clips = [] if clip is None else [_clip(clip, source, settings, grader.manifest.classes, **options)]
    with ExitStack() as stack:
        for one in clips:
            stack.enter_context(one)
        stack.enter_context(resumable(lambda: continuing(ctx, "conveyor run", [str(ctx.params["source"])])))
        task = stack.enter_context(progress.task("frames", len(source)))
        ahead, notes = buffered(source), LotNotes(log, settings)
        line = Line(
            ahead if record is None else Recording(ahead, record),
            grader,
            settings,
            log=str(log.path),
            sinks=_sinks(settings, outs, metrics_port),
            observers=[notes, _Shown(task, ahead), *clips],
            options=LineOptions(**options),
        )
        with TableKeeper(tables, log, live=not source.finite) as keeper, stopping(line.stop):
            for _ in line:
                keeper.news()
            notes.close()
            write_report(log, page)
    for state in line.deliveries:
        progress.note(one_line(str(state)))
    for one in clips:
        progress.note(one_line(str(one)))
    progress.note(f"{line.tally} → {one_line(', '.join([*outs, page]))}")
    arrived = not any(state.waiting or state.missed for state in line.deliveries)
    finish(line.tally.sound and arrived and not any(one.error for one in clips))


def _is_camera(source: "Source") -> bool:
    """Return whether frames come when they are taken: a folder that is still being written may be of yesterday."""
    from mango_grader.line.sources.hot import HotFolder

    return not source.finite and not isinstance(source, HotFolder)


class _Shown:
    """Shows live numbers: the fruit by grade, how fast frames come, and how many wait."""

    def __init__(self, task: Task, source: "Buffered") -> None:
        self._task, self._source = task, source
        self._done, self._late, self._fruit = 0, 0, 0
        self._grades: Counter[str] = Counter()
        self._since, self._frames, self._fps = 0.0, 0, 0.0  # The clock starts with the first frame.

    def see(self, frame: "Frame", sightings: Sequence[object], decisions: "Sequence[Decision]") -> None:
        self._fruit += sum(one.counted for one in decisions)
        self._late += sum(bool(one.late) for one in decisions)
        self._grades.update(one.grade for one in decisions if one.counted and one.grade is not None)
        now = monotonic()
        self._since = self._since or now
        self._frames += 1
        if now - self._since >= 1.0:
            self._fps, self._since, self._frames = self._frames / (now - self._since), now, 0
        mix = {f"{grade}:": count for grade, count in sorted(self._grades.items())}
        figures = {"fruit": self._fruit, **mix, "late": self._late, "fps": self._fps, "waiting": self._source.waiting}
        done = min(frame.index + 1, len(self._source) or frame.index + 1)  # numbers may have gaps
        self._task.advance(max(done - self._done, 0), **figures)
        self._done = done


def _config(path: str | None, policy: str | None, decide: str | None) -> "LineConfig":
    from mango_grader.line import read_config

    if path is None:
        raise UsageError("give --config line.toml; `mango-grader conveyor calibrate SOURCE` writes it")
    config = read_config(path)
    grading = config.grading
    grading = replace(grading, policy=policy or grading.policy, decide=decide or grading.decide)
    return replace(config, grading=grading)


def _clip(path: str, source: "Source", config: "LineConfig", classes: Sequence[str], **options: Any) -> "AnnotatedClip":
    from mango_grader.line import AnnotatedClip, Annotator

    if Path(path).exists() and not (options["resume"] and Path(path).resolve() != Path(source.name).resolve()):
        raise UsageError(f"--clip: {path} exists; choose another name")
    wait = source.finite and not options["realtime"]
    return AnnotatedClip(path, Annotator(config.axes, classes), wait=wait)


def _sinks(config: "LineConfig", outs: Sequence[str], metrics_port: int | None) -> "list[Sink]":
    from mango_grader.line.sinks.prometheus import PrometheusSettings
    from mango_grader.line.sinks.sqlite import SqliteSettings

    databases = [out for out in outs if Path(out).suffix.lower() in _DATABASES]
    own = [SqliteSettings(out, name=f"out-{number}") for number, out in enumerate(databases, 1)]
    served = [] if metrics_port is None else [PrometheusSettings(port=metrics_port, name="metrics-port")]
    return [settings.build() for settings in (*config.sinks, *own, *served)]
