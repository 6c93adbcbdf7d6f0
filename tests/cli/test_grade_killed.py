"""A real process, killed with SIGKILL at random moments: no row is lost, none comes twice."""

import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, COLOURS
from commands import read_csv, start
from PIL import Image

COUNT = 150
KILLS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many images that take some milliseconds each, and a few bad ones."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        pixels = np.clip(np.array(colour) + rng.integers(-15, 16, (900, 900, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f".{name}.png", compress_level=1)
    for number in range(COUNT):
        os.link(folder / f".{CLASSES[number % 3]}.png", folder / f"{number:03}.png")
    for number in range(0, COUNT, 10):
        (folder / f"{number:03}x.png").write_text("bad")
    return folder


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_and_resumed_is_as_never_killed(folder: Path, bundle: Path, tmp_path: Path, workers: str) -> None:
    out, journal = tmp_path / "out.csv", tmp_path / "out.csv.journal"
    arguments = ["grade", folder, "--model", bundle, "--workers", workers, "--progress", "none"]
    rng = random.Random(int(workers))
    kills = 0
    for goal in sorted(rng.sample(range(1, COUNT // 2), KILLS)):
        process = start(*arguments, "--out", out, "--resume")
        deadline = time.monotonic() + 600
        while process.poll() is None and lines(journal) < goal and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert not out.exists()
    assert kills == KILLS
    assert 0 < lines(journal) - 1 < COUNT
    with journal.open("ab") as file:  # What a torn write leaves.
        file.write(b'{"path": "' + os.fsencode(folder))
    process = start(*arguments, "--out", out, "--resume")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 3, err

    rows = read_csv(out)
    assert [row["path"] for row in rows] == sorted(str(path) for path in folder.glob("[0-9]*"))
    journalled = [json.loads(line) for line in journal.read_bytes().splitlines()[1:]]
    paths = [row["path"] for row in journalled if "path" in row]
    assert len(paths) == len(set(paths)) == len(rows)
    for row in rows:
        number = Path(row["path"]).stem
        assert row["grade"] == ("" if number.endswith("x") else CLASSES[int(number) % 3])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_keeps_the_rows_and_prints_what_continues(
    folder: Path, bundle: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out, journal = tmp_path / "out file.csv", tmp_path / "out file.csv.journal"
    # A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start("grade", folder, "--model", bundle, "--out", out, "--progress", "none")
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 600
    while lines(journal) < 20 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(number)
    _, err = process.communicate(timeout=600)
    command = f"mango-grader grade --model {bundle} --out '{out}' --resume {folder}"
    assert (process.returncode, err.decode()) == (code, f"interrupted; continue with: {command}\n")
    assert lines(journal) >= 20
    assert not out.exists()
