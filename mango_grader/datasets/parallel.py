"""Reading and decoding on all cores: Pillow and hashlib let go of the interpreter lock, so threads are enough."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mango_grader.errors import ImageError
from mango_grader.runtime.decode import decode

__all__ = ["ordered_map", "read_file"]

In = TypeVar("In")
Out = TypeVar("Out")


def ordered_map(function: Callable[[In], Out], items: Iterable[In], workers: int | None = None) -> Iterator[Out]:
    """Yield `function(item)` in the order of `items`; at most four results per worker are held.

    `workers` None is one per usable core. The first exception of `function` is raised in its turn.
    """
    count = workers or _usable_cores()
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_file(path: Path) -> bytes:
    """Return the bytes of an image file; raise `ImageError` with the reason if it is none that can be read."""
    try:
        if path.is_file():
            return path.read_bytes()
    except OSError as error:
        raise ImageError((error.strerror or str(error)).lower()) from error
    decode(path)  # Says what it is instead; opening a FIFO here would wait for ever.
    raise ImageError("not a regular file")


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
