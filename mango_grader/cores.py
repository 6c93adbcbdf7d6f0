"""The processor: its name, how many of its cores this process may use, and work spread over them."""

import os
import platform
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def cpu_name() -> str:
    """Return the processor's model, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many cores this process may use: those it is bound to, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[In], Out], items: Iterable[In], workers: int | None = None, *, ahead: int = 4
) -> Generator[Out, None, None]:
    """Yield `function(item)` in the order of `items`, computed by threads; nothing is computed before it is asked for.

    Threads are enough where `function` releases the interpreter lock, as Pillow, hashlib and onnxruntime do.

    Args:
        function: called once per item; the first exception that it raises is raised in its item's turn.
        items: read as results are asked for, so that they may be endless.
        workers: number of threads, 1 or more; None is one per usable core. One worker computes in the calling thread.
        ahead: how many results per worker may be held at most.

    Yields:
        The results, in order. When the caller stops asking, running calls are waited for and waiting ones are dropped.
    """
    count = workers or usable_cores()
    if count == 1:
        yield from map(function, items)
        return
    pending: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="mango")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= ahead * count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:  # Also when the caller stops asking, or is interrupted.
        pool.shutdown(wait=True, cancel_futures=True)
