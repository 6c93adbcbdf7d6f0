"""How much memory the process holds, where the system tells."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_mb() -> float | None:
    """Return the resident memory of this process in megabytes; None where the system does not tell."""
    return _status("VmRSS")


def peak_mb() -> float | None:
    """Return the largest resident memory of this process so far in megabytes; None where the system does not tell."""
    if (found := _status("VmHWM")) is not None:
        return found
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _status(name: str) -> float | None:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:")), None)
