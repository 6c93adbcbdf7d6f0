"""Commands that are stopped by Ctrl-C or SIGTERM say how to go on; runs without --out have a folder of their own."""

import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from commands import COMMAND, call
from photos import write_folders

from mango_grader.cli import run_folder
from mango_grader.cli.interrupts import resumable

ENDLESS = ("--size", "32", "--device", "cpu", "--set", "train.batch_size=8", "--set", "train.epochs=100000")
NET = "shufflenet_v2_x0_5"


def stopped(arguments: list[str], milestone: str, number: signal.Signals, home: Path) -> tuple[int, str]:
    """Start a command in `home`, stop it once a file like `milestone` is there; return exit code and last line."""
    # A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*COMMAND, *arguments], cwd=home, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with process:
        try:
            while not any(home.glob(milestone)):
                if process.poll() is not None:
                    pytest.fail(f"ended before {milestone}: {process.communicate()[1]}")
                time.sleep(0.02)
            process.send_signal(number)
            _, said = process.communicate(timeout=600)
        finally:
            process.kill()
    assert "Traceback" not in said
    return process.returncode, said.splitlines()[-1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("data") / "my mangoes", {"A": 8, "B": 8})


@pytest.mark.parametrize(
    ("name", "options", "milestone", "number", "code"),
    [
        ("search", ["--set", "method.epochs=100000"], "*/plan.json", signal.SIGINT, 130),
        ("train", ["--baseline", NET], "*/plan.json", signal.SIGTERM, 143),
        ("compare", ["--methods", NET, "--seeds", "1"], "*/*/*/plan.json", signal.SIGTERM, 143),
    ],
)
def test_an_interrupted_command_prints_the_line_that_resumes_it(
    name: str, options: list[str], milestone: str, number: signal.Signals, code: int, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my run"
    arguments = [name, "--data", str(photos), "--out", str(out), *ENDLESS, *options, "--progress", "none"]
    ended, said = stopped(arguments, milestone, number, tmp_path)
    assert ended == code
    assert said == f"interrupted; continue with: mango-grader {name} --resume --out {shlex.quote(str(out))}"


def test_an_interrupted_demo_prints_the_line_that_resumes_it(tmp_path: Path) -> None:
    arguments = ["demo", "--out", "my demo", "--budget", "2m", "--seed", "3", "--progress", "none"]
    ended, said = stopped(arguments, "my demo/mangoes/images/*", signal.SIGTERM, tmp_path)
    assert ended == 143
    assert said == "interrupted; continue with: mango-grader demo --out 'my demo' --budget 120s --seed 3"


def test_a_command_within_another_is_interrupted_with_it() -> None:
    code = (
        "import click, signal\nfrom mango_grader.cli.interrupts import resumable\n"
        "inner = click.Command('inner', callback=lambda: signal.raise_signal(signal.SIGTERM))\n"
        "outer = lambda: inner.main([], standalone_mode=False)\n"
        "try:\n    with resumable(lambda: 'outer'):\n        outer()\n"
        "except click.exceptions.Exit as exit:\n    raise SystemExit(exit.exit_code)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 143
    assert ended.stderr.splitlines()[-1] == "interrupted; continue with: outer"


def test_a_command_that_has_begun_nothing_names_no_line() -> None:
    code = "import signal, sys; from mango_grader.cli.interrupts import resumable\n"
    code += "with resumable(lambda: None): signal.raise_signal(signal.SIGTERM)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[0] == "interrupted"


def test_commands_run_in_threads_that_may_handle_no_signals(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(call, "train", "--resume", "--out", tmp_path / "nothing").result()
    assert "holds no run to continue" in result.stderr


def test_a_run_without_out_has_a_new_folder_named_after_data_and_date(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--baseline", NET, "--data", photos, "--plan-only", *ENDLESS]
    first, second = (call("train", *options) for _ in range(2))
    assert first.exit_code == second.exit_code == 0, first.output
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("my mangoes-20") and (folder / "plan.json").exists() for folder in folders)
    assert first.stderr.splitlines()[0] in {f"run folder: {folder.relative_to(tmp_path)}" for folder in folders}


def test_folders_of_one_second_never_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(run_folder.claim, ["mangoes-2026-01-01-120000"] * 40))
    assert len(set(claimed)) == 40


def test_a_refused_run_without_out_leaves_no_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("train", "--baseline", NET, "--data", photos, *ENDLESS, "--budget", "1s")
    assert result.exit_code == 2
    assert not list(Path("runs").iterdir())


def test_resume_without_out_asks_which_run_and_names_the_newest(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("train", "--resume")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["Error: --resume: name the run to continue with --out DIR"]
    assert call("train", "--baseline", NET, "--data", photos, "--plan-only", *ENDLESS).exit_code == 0
    (begun,) = Path("runs").iterdir()
    result = call("train", "--resume")
    (said,) = result.stderr.splitlines()
    assert said == f"Error: --resume: name the run to continue with --out DIR; the newest here is {begun}"


class Destructor:
    """Receives a signal while it is destroyed, where Python ignores exceptions."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)
        sum(range(1000))  # the handler runs in here


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_arrives_in_a_destructor_is_not_lost(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:

    def work() -> None:
        going_on, end = Destructor(number), time.monotonic() + 20
        with resumable(lambda: "mango-grader"):
            del going_on
            while time.monotonic() < end:
                time.sleep(0.01)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores
    try:
        with pytest.raises(click.exceptions.Exit) as ended:
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == "interrupted; continue with: mango-grader\n"
