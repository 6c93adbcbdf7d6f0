"""The wheel, installed without extras into an empty environment, grades images and names what searching needs."""

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from bundles import CLASSES, solid
from PIL import Image

ROOT = Path(__file__).parents[2]
UV = (sys.executable, "-m", "uv")


def run(command: Sequence[str | Path], where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=where, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], folder)
    assert built.returncode == 0, built.stdout + built.stderr
    made = run([*UV, "venv", "--python", sys.executable, folder / "venv"], folder)
    assert made.returncode == 0, made.stderr
    install = [*UV, "pip", "install", "--python", folder / "venv", "--constraint", ROOT / "constraints.txt"]
    done = run([*install, *folder.glob("*.whl")], folder)
    if done.returncode and run([*install, "numpy"], folder).returncode:
        pytest.skip(f"neither a package index nor a cache is at hand: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin"


def test_it_brings_no_torch(bare: Path) -> None:
    listed = run([*UV, "pip", "list", "--format", "freeze", "--python", bare / "python"], bare).stdout
    names = {line.partition("==")[0] for line in listed.splitlines()}
    assert {"mango-grader", "numpy", "onnxruntime", "pillow"} <= names
    assert not names & {"torch", "torchvision", "albumentations", "scikit-learn", "matplotlib", "onnx", "pyarrow"}


def test_it_grades_images(bare: Path, bundle: Path, tmp_path: Path) -> None:
    for name in CLASSES:
        Image.fromarray(solid(name)).save(tmp_path / f"{name}.png")
    done = run(
        [bare / "mango-grader", "grade", ".", "--model", bundle, "--out", "out.csv", "--sort-into", "by grade",
         "--contact-sheet", "sheet.html"], tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["grade"] for row in csv.DictReader(file)] == sorted(CLASSES)
    assert (tmp_path / "by grade" / "red" / "red.png").exists()


@pytest.mark.parametrize("command", [["info"], ["verify"], ["doctor"]])
def test_the_other_runtime_commands_work(bare: Path, bundle: Path, tmp_path: Path, command: list[str]) -> None:
    done = run([bare / "mango-grader", *command, *([bundle] if command != ["doctor"] else [])], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_searching_names_its_extra_in_one_line(bare: Path, tmp_path: Path) -> None:
    done = run([bare / "mango-grader", "search", "--data", "x"], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: mango-grader search needs an extra; run: pip install 'mango-grader[train]'\n"


def test_parquet_names_its_extra_before_any_work(bare: Path, bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(solid("red")).save(tmp_path / "red.png")
    done = run([bare / "mango-grader", "grade", "red.png", "--model", bundle, "--out", "x.parquet"], tmp_path)
    assert done.returncode == 2
    assert done.stderr == "Error: writing Parquet needs an extra; run: pip install 'mango-grader[parquet]'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["red.png"]


def test_the_package_says_that_it_is_typed(bare: Path) -> None:
    code = "import mango_grader, pathlib; print((pathlib.Path(mango_grader.__file__).parent / 'py.typed').exists())"
    assert run([bare / "python", "-c", code], bare).stdout == "True\n"
