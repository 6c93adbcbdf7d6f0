"""Full disks and damaged files of a run: one line that names the file, and no half of one is left."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from distillation.teachers import write_architecture

from mango_grader.cli import main

OPTIONS = ("--device", "cpu", "--set", "train.batch_size=8", "--set", "train.epochs=2")
# No file may become larger than that; what a full disk does, too, is to refuse further bytes.
LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from mango_grader.cli import main
main()
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def train(fruit: Path, home: Path, *options: object) -> Result:
    student = write_architecture(home / "architecture.json")
    return call("train", "--architecture", student, "--data", fruit, "--out", home / "run", *OPTIONS, *options)


@pytest.fixture(scope="module")
def finished(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished run; to be copied, not written to."""
    home = tmp_path_factory.mktemp("finished")
    result = train(fruit, home, "--set", "checkpoint_every=0")
    assert result.exit_code == 0, result.output
    return home


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished / "run", tmp_path / "run")


@pytest.mark.skipif(sys.platform == "win32", reason="its files have no limits")
@pytest.mark.parametrize(("limit", "file"), [(20_000, "cache/*.u8"), (400_000, "checkpoints/train.safetensors")])
def test_a_full_disk_is_named_with_the_file_that_did_not_fit(
    limit: int, file: str, fruit: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "--baseline", "shufflenet_v2_x0_5", "--size", "32", "--data", fruit, "--out", out, *OPTIONS]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    reason, _, path = ended.stderr.splitlines()[-1].removeprefix("Error: ").partition(": ")
    assert reason == "File too large"
    assert Path(path).relative_to(out).match(file)
    assert not list(out.rglob("*.part"))


def torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def garbled(path: Path) -> None:
    path.write_bytes(b"\xff" * 64)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [torn, garbled, emptied])
def test_a_damaged_checkpoint_is_named_and_the_run_goes_on_without_it(harm: object, run: Path, finished: Path) -> None:
    for name in ("weights.safetensors", "metrics.json"):
        (run / name).unlink()
    checkpoint = run / "checkpoints" / "train.safetensors"
    harm(checkpoint)  # type: ignore[operator]
    result = call("train", "--resume", "--out", run)
    assert result.exit_code == 1
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert f"{checkpoint} is damaged" in said
    assert "delete it" in said
    checkpoint.unlink()
    result = call("train", "--resume", "--out", run)
    assert result.exit_code == 0, result.output
    assert (run / "weights.safetensors").read_bytes() == (finished / "run" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("harm", [torn, garbled, emptied])
def test_damaged_weights_are_named(harm: object, run: Path, fruit: Path, tmp_path: Path) -> None:
    harm(run / "weights.safetensors")  # type: ignore[operator]
    result = call("export", run, "--out", tmp_path / "else.mango")
    assert result.exit_code == 1
    assert f"{run / 'weights.safetensors'} is damaged" in result.stderr
    (tmp_path / "next").mkdir()
    result = train(fruit, tmp_path / "next", "--init-from", run)
    assert result.exit_code == 2
    assert f"--init-from: {run / 'weights.safetensors'} is damaged" in result.stderr


def test_weights_of_another_network_are_named(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "checkpoints" / "train.safetensors", run / "weights.safetensors")
    result = call("export", run, "--out", tmp_path / "else.mango")
    assert result.exit_code == 1
    assert f"{run / 'weights.safetensors'} is damaged" in result.stderr


@pytest.mark.parametrize("name", ["config.json", "data.json", "split.json", "network.json", "metrics.json"])
def test_damaged_json_of_a_run_is_named(name: str, run: Path, tmp_path: Path) -> None:
    torn(run / name)
    result = call("export", run, "--out", tmp_path / "else.mango")
    assert result.exit_code in {1, 2}
    assert "unexpected" not in result.stderr
    assert str(run / name) in result.stderr
