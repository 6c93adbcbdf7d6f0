"""What carries out many tasks: the protocol, and what a task is and needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Needs:
    """What one task takes of a machine while it runs.

    Attributes:
        cores: CPU cores, 1 or more.
        gpus: GPUs, 0 or more; a fraction shares one.
        memory: bytes of main memory; None for any number.
    """

    cores: int = 1
    gpus: float = 0.0
    memory: int | None = None


@dataclass(frozen=True)
class Task:
    """One piece of work that can be sent to another process or machine.

    A task may be begun again from the start, where the machine that ran it was lost. So it keeps what it has done in
    files that every machine sees, and goes on from there.

    Attributes:
        name: shown to the user; each task of an executor has its own.
        action: what is done; it and what it returns are sent between processes.
        needs: what it takes of a machine.
        fresh: whether it has a process of its own; others may find what an earlier task of the process has loaded.
    """

    name: str
    action: Callable[[], Any]
    needs: Needs = Needs()
    fresh: bool = True


@dataclass(frozen=True)
class Crashed:
    """The result of a task that failed unexpectedly.

    Attributes:
        reason: why, in one line.
    """

    reason: str


class Executor(Protocol):
    """Carries out tasks, here or elsewhere, as far as its machines allow at the same time.

    Attributes:
        page: address of a web page that shows the tasks; None where there is none.

    Example:
        >>> from functools import partial
        >>> from mango_grader.executors import LocalExecutor, Task
        >>> with LocalExecutor() as executor:
        ...     executor.submit(Task("sum", partial(sum, [1, 2])))
        ...     dict(executor.gather())
        {'sum': 3}
    """

    page: str | None

    def submit(self, task: Task) -> None:
        """Take a task; it may begin at once, or when `gather` is called."""

    def gather(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, what its action returned, or `Crashed`) of each task as soon as it is known."""

    def cancel(self) -> None:
        """End what is running, and forget what has not begun."""


def outcome_of(action: Callable[[], Any]) -> Any:
    """Return what an action returns, or `Crashed` where it raises anything.

    Args:
        action: what is done.
    """
    try:
        return action()
    except Exception as error:
        return Crashed(f"unexpected {type(error).__name__}: {error}")
