"""The examples run as they are printed."""

import subprocess
import sys
from pathlib import Path

from photos import write_photo

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_sorting_line_sends_every_fruit_somewhere(bundle: Path, tmp_path: Path) -> None:
    for seed in range(3):
        write_photo(tmp_path / "belt" / f"{seed}.png", seed)
    arguments = [sys.executable, str(EXAMPLES / "sorting_line.py"), str(bundle), str(tmp_path / "belt")]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(":")[0] for line in printed[:-1]] == ["frame 1", "frame 2", "frame 3"]
    assert sum(int(part.rsplit(" ", 1)[1]) for part in printed[-1].split(", ")) == 3
