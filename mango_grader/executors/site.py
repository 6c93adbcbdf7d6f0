"""Where tasks run, as the user says it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from mango_grader.errors import UsageError
from mango_grader.executors.base import Executor, Needs
from mango_grader.executors.cluster import RayExecutor
from mango_grader.executors.local import LocalExecutor

On = Literal["local", "ray"]


class OpenExecutor(Executor, AbstractContextManager["OpenExecutor"], Protocol):
    """An executor that ends what it has begun when its context is left."""


@dataclass(frozen=True)
class Site:
    """Where tasks run, and what each takes there.

    Attributes:
        on: "local", this machine's processes, or "ray", the cluster that RAY_ADDRESS names.
        needs: of each task, which Ray has to know; None for one core. This machine gives each task an equal share.

    Raises:
        UsageError: `on` is another word, or needs are stated where nobody looks at them.
    """

    on: On = "local"
    needs: Needs | None = None

    def __post_init__(self) -> None:
        if self.on not in get_args(On):
            raise UsageError(f"--on {self.on}: choose from {', '.join(get_args(On))}")
        if self.on == "local" and self.needs is not None:
            raise UsageError("--cores, --gpus and --memory would be ignored: they are for --on ray")

    def open(self, jobs: int) -> OpenExecutor:
        """Return the executor, to be used as a context.

        Args:
            jobs: tasks at a time on this machine; Ray runs as many as fit.
        """
        return RayExecutor() if self.on == "ray" else LocalExecutor(jobs)

    def threads(self, all_threads: int, jobs: int) -> int:
        """Return with how many threads a task computes.

        Args:
            all_threads: of this machine.
            jobs: tasks at a time on it.
        """
        return (self.needs or Needs()).cores if self.on == "ray" else max(1, all_threads // jobs)


HERE = Site()
"""This machine."""
