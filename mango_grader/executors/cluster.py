"""Ray: the tasks of one program on many machines (extra `cluster`)."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from mango_grader.errors import MissingExtraError, UsageError
from mango_grader.executors.base import Crashed, Task
from mango_grader.executors.relay import Relay, performed

_ATTEMPTS = 5  # of a task whose machine is lost; one that raises is not tried again
_PAUSE = 0.5  # seconds between two looks at what tasks report


class RayExecutor:
    """Sends tasks to the Ray cluster that the variable RAY_ADDRESS names, or to a new one on this machine alone.

    A fresh task has a process of its own, since what a training leaves behind must not slow down the next one. Where a
    machine is lost, Ray begins its tasks again elsewhere. Nothing outlives this process. What tasks write to standard
    error appears on this process's, line by line.

    Attributes:
        page: address of Ray's dashboard; None where there is none.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: the cluster cannot be reached.
    """

    def __init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
        try:
            import ray
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
        except ImportError as error:
            raise MissingExtraError("--on ray", "cluster") from error
        self._ray = ray
        self._begun_here = not ray.is_initialized()
        on_termination = signal.getsignal(signal.SIGTERM)
        try:
            context = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            named, reason = os.environ.get("RAY_ADDRESS", ""), " ".join(str(error).split())
            raise UsageError(f"--on ray: no cluster at RAY_ADDRESS={named}: {reason}") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_termination)  # Ray's own would not say how to go on
        self.page: str | None = f"http://{context.dashboard_url}" if context.dashboard_url else None
        self._running: dict[Any, str] = {}
        self._fresh = ray.remote(max_calls=1, max_retries=_ATTEMPTS - 1)(performed)
        self._shared = ray.remote(max_retries=_ATTEMPTS - 1)(performed)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        relay: Any = ray.remote(Relay)
        self._relay = relay.options(num_cpus=0, scheduling_strategy=here).remote()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.cancel()
        self._show()
        self._ray.kill(self._relay)
        if self._begun_here:
            self._ray.shutdown()

    def submit(self, task: Task) -> None:
        """Hand a task to the cluster, which begins it as soon as a machine has what it needs."""
        needs = task.needs
        place: dict[str, Any] = {"num_cpus": needs.cores, "num_gpus": needs.gpus, "name": task.name}
        if needs.memory is not None:
            place["memory"] = needs.memory
        perform = self._fresh if task.fresh else self._shared
        self._running[perform.options(**place).remote(task.action, self._relay)] = task.name

    def gather(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, what its action returned, or `Crashed`) of each task as soon as it is known."""
        while self._running:
            done, _ = self._ray.wait(list(self._running), timeout=_PAUSE)
            self._show()
            for reference in done:
                yield self._running.pop(reference), self._result(reference)

    def cancel(self) -> None:
        """End what is running, and forget what has not begun."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()

    def _show(self) -> None:
        """Print what tasks have reported since the last look."""
        for text in self._ray.get(self._relay.taken.remote()):
            sys.stderr.write(text)
        sys.stderr.flush()

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            return Crashed(f"{type(error).__name__}: {said[0] if said else 'no reason is known'}")
