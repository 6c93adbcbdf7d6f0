"""The memory of a process and of all that it has started, over time; Linux only."""

import os
import threading
from collections import defaultdict
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


class MemoryWatch(threading.Thread):
    """Notes, once a second, how much memory a process and its descendants hold.

    Args:
        pid: of the process.

    Attributes:
        mebibytes: resident memory of all together, each second; pages that they share count for each.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.mebibytes: list[float] = []
        self._pid, self._over = pid, threading.Event()

    def run(self) -> None:
        """Watch until `stop` is called."""
        while not self._over.wait(1.0):
            self.mebibytes.append(sum(map(_resident, _tree(self._pid))) / 2**20)

    def stop(self) -> None:
        """End."""
        self._over.set()
        self.join()

    def growth(self) -> float | None:
        """Return by what share the memory of the last quarter is above that of the second; None for too short a watch.

        The first quarter has the start of processes in it.
        """
        quarter = len(self.mebibytes) // 4
        if not quarter:
            return None
        early, late = self.mebibytes[quarter : 2 * quarter], self.mebibytes[-quarter:]
        return sum(late) / sum(early) - 1


def _tree(pid: int) -> list[int]:
    children = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := _read(folder / "stat")):
            children[int(stat.rpartition(")")[2].split()[1])].append(int(folder.name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children[found[-1]]
    return found


def _resident(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * _PAGE if fields else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return ""
