"""Ctrl-C and SIGTERM end a long command with the line that continues it."""

import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

_CTRL_C, _TERMINATED = 130, 143  # as shells count: 128 + the signal's number
_AGAIN = 0.05  # seconds until an interruption that was lost is delivered anew


class _Terminated(KeyboardInterrupt):
    """The process received SIGTERM."""


@contextmanager
def resumable(command: Callable[[], str | None]) -> Iterator[None]:
    """Let SIGTERM stop the body as Ctrl-C does; print the command that continues it, if any; exit 143 or 130."""
    try:
        with _stopped_by_sigterm(), _never_lost():
            yield
    except (KeyboardInterrupt, click.Abort) as error:  # a click command in the body turns the one into the other
        line = command()
        click.echo("interrupted" + ("" if line is None else f"; continue with: {line}"), err=True)
        sys.stderr.flush()
        terminated = isinstance(error, _Terminated) or isinstance(error.__cause__, _Terminated)
        raise click.exceptions.Exit(_TERMINATED if terminated else _CTRL_C) from None


def continuing(ctx: click.Context, command: str, arguments: Sequence[str]) -> str:
    """Return the command line that continues a command: the options that it was given, and --resume.

    Args:
        ctx: of the command.
        command: its name, such as "conveyor run".
        arguments: that are no options.
    """
    words = ["mango-grader", *command.split()]
    for option in ctx.command.params:
        name = str(option.name)
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and isinstance(option, click.Option) and name not in ("progress", "resume"):
            value = ctx.params[name]
            for one in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0], *([] if option.is_flag else [str(one)])]
    end = ["--"] if any(argument.startswith("-") for argument in arguments) else []
    return shlex.join([*words, "--resume", *end, *arguments])


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM call `stop`, and go on its way when the body is through; a second one ends it.

    Args:
        stop: asks the body to come to its end; where it waits, it may raise `KeyboardInterrupt` in it.
    """
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise _interruption(number)
        stop()

    signals = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {each: signal.getsignal(each) for each in signals if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, ask)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if asked:
        raise _interruption(asked[0])


def _interruption(number: int) -> KeyboardInterrupt:
    return _Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _never_lost() -> Iterator[None]:
    """Deliver an interruption anew that came up in a destructor or a callback, where Python ignores exceptions."""
    before = sys.unraisablehook

    def again(lost: "sys.UnraisableHookArgs") -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            before(lost)
            return
        number = signal.SIGTERM if isinstance(lost.exc_value, _Terminated) else signal.SIGINT
        # From another thread: raised here it would be lost again.
        timer = threading.Timer(_AGAIN, signal.raise_signal, [number])
        timer.daemon = True
        timer.start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated
