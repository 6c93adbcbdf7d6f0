"""`conveyor run`, `verify` and `replay`, as the real thing: files in, tables out, one line where something is wrong."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import CLASSES, make_bundle
from commands import call, read_csv, start
from drawn_line import grade_of, write_config, write_frames
from kill_line import FRUIT

from mango_grader.line import LogFolder
from mango_grader.runtime import Bundle


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with belt/, model.mango and line.toml; nothing is written to it."""
    home = tmp_path_factory.mktemp("home")
    write_frames(home / "belt", FRUIT)
    make_bundle(home / "model.mango")
    write_config(home / "line.toml")
    return home


def arguments(home: Path, out: Path, *more: str | Path) -> list[str | Path]:
    return ["conveyor", "run", home / "belt", "--model", home / "model.mango", "--config", home / "line.toml",
            "--out", out, "--progress", "none", *more]  # fmt: skip


def test_a_folder_of_frames_becomes_tables_a_log_and_a_database(home: Path, tmp_path: Path) -> None:
    out, database = tmp_path / "fruit.csv", tmp_path / "fruit.db"
    more = ("--out", tmp_path / "fruit.jsonl", "--out", database, "--lot", "today", "--run", "r")
    done = call(*arguments(home, out, *more, "--record", tmp_path / "kept"))
    assert done.exit_code == 0, done.output
    rows = read_csv(out)
    assert [row["grade"] for row in rows] == [grade_of(number) for number in range(FRUIT)]
    assert {(row["lot"], row["status"]) for row in rows} == {("today", "decided")}
    assert set(rows[0]) >= {f"p_{name}" for name in CLASSES}
    lines = (tmp_path / "fruit.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row["id"] for row in rows]
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*), count(DISTINCT id) FROM fruit").fetchone() == (FRUIT, FRUIT)
    connection.close()
    log = tmp_path / "fruit.csv.log"
    assert f"{FRUIT} decisions, intact\n" in call("conveyor", "verify", log).output
    again = call("conveyor", "replay", log, "--frames", tmp_path / "kept", "--progress", "none")
    assert (again.exit_code, f"the same once more, {FRUIT} fruit" in again.output) == (0, True)
    assert call("conveyor", "replay", log, "--progress", "none").exit_code == 0  # from the source itself

    # A second run does not touch what the first one wrote; asked to go on, there is nothing left to do.
    before = out.read_bytes(), (log / "log.jsonl").read_bytes()
    assert call(*arguments(home, out, *more)).exit_code == 2
    assert call(*arguments(home, out, *more, "--resume")).exit_code == 0
    assert (out.read_bytes(), (log / "log.jsonl").read_bytes()) == before


def test_a_forged_log_ends_verify_with_the_line(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "fruit.csv"
    assert call(*arguments(home, out)).exit_code == 0
    path = tmp_path / "fruit.csv.log" / "log.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"grade": "yellow"', b'"grade": "green"', 1))
    done = call("conveyor", "verify", path.parent)
    assert (done.exit_code, done.output) == (1, f"Error: {path}: line 3 was changed\n")


def test_frames_that_cannot_be_read_end_with_3(home: Path, tmp_path: Path) -> None:
    (tmp_path / "belt").mkdir()
    for path in (home / "belt").iterdir():
        (tmp_path / "belt" / path.name).symlink_to(path)
    bad = sorted((tmp_path / "belt").iterdir())[40]
    bad.unlink()
    bad.write_bytes(b"half a fr")
    command = ["conveyor", "run", tmp_path / "belt", "--model", home / "model.mango", "--config", home / "line.toml"]
    done = call(*command, "--out", tmp_path / "fruit.csv", "--progress", "plain")
    assert (done.exit_code, "frames that cannot be read 1" in done.output) == (3, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--config", "missing.toml"], "no such file"),
        (["--out", "fruit.txt"], "results are written as .csv, .jsonl, .parquet"),
        (["--policy", "deadline:5ms"], "set grading.deadline_ms instead"),
        (["--decide", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_used_is_one_line(home: Path, tmp_path: Path, change: list[str], said: str) -> None:
    done = call(*arguments(home, tmp_path / "fruit.csv"), *change)
    assert (done.exit_code, said in done.output, done.output.count("\n")) == (2, True, 1), done.output
    assert not any(tmp_path.iterdir())


def test_without_a_configuration_the_line_that_writes_one_is_named(home: Path, tmp_path: Path) -> None:
    done = call("conveyor", "run", home / "belt", "--model", home / "model.mango", "--out", tmp_path / "fruit.csv")
    assert (done.exit_code, "conveyor calibrate" in done.output) == (2, True)


def test_a_table_of_others_is_left_alone(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "fruit.csv"
    out.write_text("id,label\n1,A\n", encoding="utf-8")
    for more in ([], ["--resume"]):
        done = call(*arguments(home, out, *more))
        assert (done.exit_code, out.read_text(encoding="utf-8")) == (2, "id,label\n1,A\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_prints_what_goes_on(home: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    out = tmp_path / "out file.csv"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(*arguments(home, out, "--realtime", "--run", "r"))
    signal.signal(signal.SIGINT, before)
    log = tmp_path / "out file.csv.log" / "log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_bytes().count(b'"kind": "decision"')) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    command = (
        f"mango-grader conveyor run --model {home}/model.mango --config {home}/line.toml --out '{out}' --run r"
        f" --realtime --resume {home}/belt"
    )
    assert (process.returncode, err.decode()) == (code, f"interrupted; continue with: {command}\n")
    assert not out.exists()
    again = start(*arguments(home, out, "--realtime", "--run", "r", "--resume"))
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert [row["id"] for row in read_csv(out)] == [f"r-{number}" for number in range(1, FRUIT + 1)]


def test_a_hot_folder_that_is_stopped_ends_with_its_table_and_goes_on_with_its_numbers(
    home: Path, tmp_path: Path
) -> None:
    """The line waits for a frame when the signal comes; numbers in names tell which images are new when it goes on."""
    belt, out, log = tmp_path / "belt", tmp_path / "fruit.csv", tmp_path / "fruit.csv.log" / "log.jsonl"
    belt.mkdir()
    frames = sorted((home / "belt").iterdir())
    command = ["conveyor", "run", f"hot:{belt}", "--model", home / "model.mango", "--config", home / "line.toml"]
    command += ["--out", out, "--run", "r", "--progress", "none", "--settle", "0.05"]
    for frame in frames[:40]:
        shutil.copy(frame, belt)
    process = start(*command)
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_bytes().count(b'"kind": "decision"') >= 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "--resume hot:" in err.decode()) == (143, True), err
    first = [row["id"] for row in read_csv(out)]
    assert "the run has not ended" not in call("conveyor", "verify", log.parent).output
    for frame in frames[40:]:
        shutil.copy(frame, belt)
    done = call(*command, "--resume", "--stop-after", "1")
    assert done.exit_code == 0, done.output
    both = [row["id"] for row in read_csv(out)]
    assert both[: len(first)] == first
    assert both == [f"r-{number}" for number in range(1, len(both) + 1)]
    assert [row["status"] for row in read_csv(out)].count("decided") == FRUIT
    assert "lost" in log.read_text(encoding="ascii").split('"kind": "resume"')[1][:60]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_ends_the_run_in_one_line_and_it_goes_on(home: Path, small_disk: Path) -> None:
    out = small_disk / "fruit.csv"
    ballast = small_disk / "ballast"
    LogFolder(f"{out}.log").keep_model(home / "model.mango", Bundle.open(home / "model.mango").digest)
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 24_576))
    ended = call(*arguments(home, out, "--run", "r"))
    assert (ended.exit_code, ended.output.count("\n")) == (1, 1)
    assert ended.output.startswith(f"Error: No space left on device: {out}.log/")
    assert "the run has not ended" in call("conveyor", "verify", f"{out}.log").output
    ballast.unlink()
    done = call(*arguments(home, out, "--run", "r", "--resume"))
    assert done.exit_code == 0, done.output
    assert [row["id"] for row in read_csv(out)] == [f"r-{number}" for number in range(1, FRUIT + 1)]


def test_two_processes_do_not_write_one_log(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "fruit.csv"
    process = start(*arguments(home, out, "--realtime"))
    deadline = time.monotonic() + 60
    while not (tmp_path / "fruit.csv.log" / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    done = call(*arguments(home, out, "--realtime", "--resume"))
    process.kill()
    process.communicate()
    assert (done.exit_code, "another process writes" in done.output) == (2, True), done.output


def test_a_configuration_that_nobody_may_write_is_enough(home: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "line.toml")
    config.chmod(0o444)
    command = ["conveyor", "run", home / "belt", "--model", home / "model.mango", "--config", config]
    assert call(*command, "--out", tmp_path / "fruit.csv").exit_code == 0
    assert config.stat().st_mode & 0o777 == 0o444
