"""How much memory this process takes, and a limit to it, for readers of files that may be hostile; Linux only."""

import re
import resource
from pathlib import Path

_OF_THIS_PROCESS = Path("/proc/self")


def limit_memory(mebibytes: int) -> None:
    """Let this process and its children have no more address space; what asks for more gets a `MemoryError`."""
    size = mebibytes << 20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def forget_peak() -> None:
    """Let `peak_mib` count from now on."""
    (_OF_THIS_PROCESS / "clear_refs").write_text("5")


def peak_mib() -> int:
    """Return the most mebibytes that this process has had in memory at once since `forget_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (_OF_THIS_PROCESS / "status").read_text())
    assert found is not None
    return int(found[1]) >> 10
