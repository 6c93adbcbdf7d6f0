"""Memory that a training step gives back and the next one asks for again."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of <malloc.h>
_NEVER = 2**31 - 1  # bytes


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, where the C library is glibc; return whether it will.

    Else glibc returns large tensors to the system and asks for them anew in every step, and the system fills all their
    pages with zeros: a third of the time of an EfficientNet-Lite0 at 224×224 pixels. Holds until the process ends.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))
