"""Keeps Python's warnings, logging and libtiff from printing while damaged images are decoded."""

import ctypes
import logging
import threading
import warnings
from functools import cache

from PIL import _imaging

__all__ = ["quiet"]


class _Quiet:
    """Silences Pillow's warnings while any thread decodes (`warnings.catch_warnings` alone is not thread-safe)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._catch = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            _silence_libraries()
            if not self._inside:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._catch.__exit__(None, None, None)


quiet = _Quiet()
"""Use as `with quiet:` around any use of Pillow on files that may be damaged."""


@cache
def _silence_libraries() -> None:
    """Silence libtiff and Pillow's logger for this process; what they would print reaches us as exceptions, too.

    libtiff prints to file descriptor 2. To redirect that would swallow what other threads print meanwhile; its
    handlers are set once, before any thread decodes. Where Pillow is linked statically (Windows), they cannot be
    reached, and libtiff's lines stay.
    """
    # Without any handler, Python itself prints errors that Pillow logs; an application's own handlers still get them.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        library = ctypes.CDLL(_imaging.__file__)
        handlers = [library.TIFFSetErrorHandler, library.TIFFSetWarningHandler]
    except (OSError, AttributeError, TypeError):
        return
    for handler in handlers:
        handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        handler(None)
