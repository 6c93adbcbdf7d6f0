"""The command line: a table of commands, each imported only when it is called."""

import importlib
import io
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from mango_grader import __version__
from mango_grader.errors import MangoError, MissingExtraError

__all__ = ["COMMANDS", "Entry", "LazyGroup", "main"]


class Entry(NamedTuple):
    """One command of the command line, imported only when it is called.

    Attributes:
        module: that holds it, relative to `mango_grader.cli`.
        attribute: its name there.
        help: its line in the list of commands.
    """

    module: str
    attribute: str
    help: str


COMMANDS = {
    "data": Entry("data", "data", "Inspect a folder of graded photos, or make one of synthetic mangoes."),
    "search": Entry("runs", "search", "Search for a network that fits your photos; train, calibrate and export it."),
    "train": Entry("runs", "train", "Train a known network on new photos, without a search."),
    "compare": Entry("compare", "compare", "Compare search methods and known networks on your photos, in equal time."),
    "sweep": Entry("sweep", "sweep", "Compare methods on several data sets, within several limits."),
    "evaluate": Entry("evaluate", "evaluate", "Measure a model on graded photos, exit by exit."),
    "methods": Entry("catalogue", "methods", "Print the search methods, and which spaces they can search."),
    "spaces": Entry("catalogue", "spaces", "Print the search spaces, and which methods can search them."),
    "export": Entry("runs", "export", "Write a run's model as one .mango file."),
    "demo": Entry("demo", "demo", "Draw mangoes, search for a network that fits them, and grade others."),
    "grade": Entry("grade", "grade", "Grade images and folders with a .mango model."),
    "info": Entry("model", "info", "Print the manifest of a .mango model."),
    "verify": Entry("model", "verify", "Check that a .mango model is intact and answers as it did when it was made."),
    "calibrate": Entry("calibrate", "calibrate", "Calibrate a .mango model on fruit of your own line."),
    "bench": Entry("bench", "bench", "Measure how fast a .mango model is on this host."),
    "conveyor": Entry("conveyor", "conveyor", "Grade fruit on a belt: one decision for each, in a table and in a PLC."),
    "doctor": Entry("doctor", "doctor", "Print versions, devices and problems."),
}

# torch's idle threads spin for long by default. Beside any other busy process that makes training several times slower
# (a step of 1.8 s instead of 0.5 s); with this short spin nothing is lost on an otherwise idle machine.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# Import name -> the extra of the installation that brings it.
_EXTRAS = {
    "pyarrow": "parquet", "asyncua": "opcua", "ray": "cluster",
    **dict.fromkeys(
        ["cv2", "jinja2", "paho", "prometheus_client", "pydantic", "pymodbus", "scipy", "tomlkit", "watchfiles"], "line"
    ),
    **dict.fromkeys(
        [
            "albumentations", "imagehash", "matplotlib", "onnx", "onnxscript", "safetensors", "sklearn", "torch",
            "torchvision",
        ],
        "train",
    ),
}  # fmt: skip


class LazyGroup(click.Group):
    """Lists the commands of a table without importing them.

    Args:
        *args: of `click.Group`.
        table: of the commands, by name; their modules are relative to `mango_grader.cli`.
        **kwargs: of `click.Group`.
    """

    def __init__(self, *args: Any, table: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        entry = self._table.get(cmd_name)
        if entry is None:
            return None
        try:
            module = importlib.import_module(f"mango_grader.cli.{entry.module}")
        except ModuleNotFoundError as error:
            raise _explained(error, " ".join([*ctx.command_path.split()[1:], cmd_name])) from error
        command: click.Command = getattr(module, entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help lines of the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._table.items()])


class _Front(LazyGroup):
    """Turns every failure into one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with --debug let exceptions through."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
            raise  # click ends these well itself: a closed pipe silently.
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.stderr.flush()
            raise click.exceptions.Exit(130) from None
        except MangoError as error:
            raise _failure(str(error), error.exit_code) from error
        except OSError as error:
            name = error.filename2 or error.filename  # Of a renaming, the target.
            raise _failure(f"{error.strerror or error}{f': {name}' if name else ''}", 1) from error
        except Exception as error:
            explained = _explained(error, ctx.invoked_subcommand or "")
            if isinstance(explained, MangoError):
                raise _failure(str(explained), explained.exit_code) from error
            where = "mango-grader --debug … shows where"
            raise _failure(f"unexpected {type(error).__name__}: {error} ({where})", 1) from error


def _explained(error: Exception, command: str) -> Exception:
    """Return what to say instead of `error`: the extra that brings a missing module, or `error` itself."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing not in _EXTRAS:
        return error
    extra = _EXTRAS[missing]
    if extra == "line" and not command.startswith("conveyor"):
        extra = "train"  # which brings all of a line's, and what else the other commands need
    return MissingExtraError(f"mango-grader {command}", extra)


def _failure(message: str, exit_code: int) -> click.exceptions.Exit:
    from mango_grader.text import one_line

    click.echo(f"Error: {one_line(' '.join(message.split()))}", err=True)
    return click.exceptions.Exit(exit_code)


@click.group(cls=_Front, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="mango-grader %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Search, train and run compact anytime classifiers that grade your fruit.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done, but something is recorded as wrong.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # A terminal that lacks a character gets an escape, not a crash.
        sys.stdout.reconfigure(errors="backslashreplace")
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun has started this process, and others like it
        from mango_grader.cli.torchrun import join

        context.obj = join(context)
