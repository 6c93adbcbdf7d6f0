"""A small disk that can be filled."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a tmpfs at a new folder; skip the test where that is not allowed."""
    mount = shutil.which("mount")
    if os.name == "nt" or os.getuid() != 0 or mount is None:
        pytest.skip("only root mounts a small disk")
    folder.mkdir()
    made = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
