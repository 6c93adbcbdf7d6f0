import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner
from commands import COMMAND, call

import mango_grader
from mango_grader.cli import COMMANDS, main
from mango_grader.cli.options import progress_option
from mango_grader.errors import ImageError, MangoError, MissingExtraError, UsageError
from mango_grader.progress import LineProgress, Progress


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Make `info` raise whatever is put into the returned list."""
    errors: list[BaseException] = []

    @click.command()
    def info() -> None:
        raise errors[0]

    module = ModuleType("mango_grader.cli.model")
    module.info = info  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mango_grader.cli.model", module)
    return errors


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MangoError("it\n failed"), 1, "Error: it failed"),
        (UsageError("do this"), 2, "Error: do this"),
        (ImageError("caf\udce9"), 1, "Error: caf\\xe9"),
        (MissingExtraError("x", "train"), 2, "Error: x needs an extra; run: pip install 'mango-grader[train]'"),
        (ModuleNotFoundError("no", name="torch.nn"), 2,
         "Error: mango-grader info needs an extra; run: pip install 'mango-grader[train]'"),
        (ModuleNotFoundError("no", name="pyarrow"), 2,
         "Error: mango-grader info needs an extra; run: pip install 'mango-grader[parquet]'"),
        (OSError(28, "No space left on device", "/a/b"), 1, "Error: No space left on device: /a/b"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_every_failure_is_one_line(fails: list[BaseException], error: BaseException, code: int, line: str) -> None:
    fails.append(error)
    done = call("info")
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", line + "\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), ModuleNotFoundError("no", name="mango_grader.x")])
def test_a_defect_is_one_line_too_and_debug_shows_where(fails: list[BaseException], error: Exception) -> None:
    fails.append(error)
    done = call("info")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: unexpected {type(error).__name__}: ")
    assert done.stderr.count("\n") == 1
    assert CliRunner().invoke(main, ["--debug", "info"]).exception is error


def test_a_missing_extra_is_found_while_importing_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("mango_grader.cli.importlib.import_module", missing)
    done = call("search", "--data", "x")
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: mango-grader search needs an extra; run: pip install 'mango-grader[train]'\n",
    )


def test_the_version_is_the_packages() -> None:
    assert call("--version").stdout == f"mango-grader {mango_grader.__version__}\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["grade"], ["grade", "x"], ["--nonsense"], ["info", "a", "b"]])
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert "Error: " in done.stderr


@pytest.mark.parametrize("name", ["grade", "info", "verify", "doctor"])
def test_every_command_explains_itself(name: str) -> None:
    done = call(name, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: mango-grader {name} ")
    assert COMMANDS[name].help in " ".join(call("--help").stdout.split())


def test_the_progress_option_hands_over_a_reporter() -> None:
    seen: list[Progress] = []

    @click.command()
    @progress_option
    def command(progress: Progress) -> None:
        seen.append(progress)

    assert CliRunner().invoke(command, ["--progress", "json"]).exit_code == 0
    assert isinstance(seen[0], LineProgress)
    assert CliRunner().invoke(command, ["--progress", "loud"]).exit_code == 2


def test_a_closed_pipe_is_silent(bundle: Path) -> None:
    program = f"""
import subprocess, sys
command = {[*COMMAND, "info", str(bundle), "--json"]!r}
process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
process.stdout.close()
sys.stdout.write(process.stderr.read().decode())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_terminal_without_unicode_gets_escapes(bundle: Path) -> None:
    environment = {"PYTHONIOENCODING": "latin-1", "PATH": ""}
    done = subprocess.run(
        [*COMMAND, "info", str(bundle)], capture_output=True, env=environment, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert b"12 \xd7 16 pixels" in done.stdout
    assert b"exit:1 \\u2026 exit:2" in done.stdout


@pytest.mark.parametrize("name", ["search", "train", "compare"])
def test_help_lists_every_option_of_a_run_under_a_heading(name: str) -> None:
    lines = call(name, "--help").stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings[0] == "Data:"
    assert headings[-2:] == ["Running:", "Other options:"]
    others = lines[lines.index("Other options:") :]
    assert [line.split()[0] for line in others if line.startswith("  -")] == ["--progress", "-h,"]
