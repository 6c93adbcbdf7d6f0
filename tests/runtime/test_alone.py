"""The runtime by itself: in a process of its own, watched."""

import subprocess
import sys
from pathlib import Path

from bundles import solid
from PIL import Image

WATCHED = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)
import numpy, PIL, onnxruntime, click, filelock, rich  # what the base installation brings, for the list below
from mango_grader.runtime import Grader
from mango_grader.cli import main
model, folder, out = sys.argv[1:]
assert [record.grade for record in Grader.load(model).grade_many([folder + "/red.png"], workers=2)] == ["red"]
try:
    main(["grade", folder, "--model", model, "--out", out, "--contact-sheet", out + ".html"])
except SystemExit as end:
    assert end.code == 0, end.code
heavy = {"torch", "torchvision", "sklearn", "cv2", "matplotlib", "albumentations", "onnx", "scipy", "pyarrow", "jinja2"}
print(sorted(heavy & set(sys.modules)), opened)
"""

LIGHT = """
import sys
from mango_grader.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
print(sorted({"numpy", "PIL", "onnxruntime", "rich", "torch"} & set(sys.modules)), file=sys.stderr)
"""


def run(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_grading_imports_no_torch_and_opens_no_socket(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(solid("red")).save(tmp_path / "in" / "red.png")
    done = run(WATCHED, bundle, tmp_path / "in", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[] []\n"
    assert (tmp_path / "out.csv").read_text().count("\n") == 2


def test_the_watch_sees_a_socket() -> None:
    code = WATCHED.split("import numpy")[0] + "import socket; socket.socket().close(); print(opened)"
    assert "socket.__new__" in run(code).stdout


def test_help_imports_nothing_heavy() -> None:
    done = run(LIGHT, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]\n"
    for name in ("data", "search", "train", "evaluate", "export", "demo", "grade", "info", "verify", "doctor"):
        assert f"\n  {name} " in done.stdout


def test_the_preprocessing_starts_no_onnxruntime() -> None:
    done = run("import sys, mango_grader.runtime.images.preprocess; print('onnxruntime' in sys.modules)")
    assert done.stdout == "False\n"


def test_every_public_name_is_there() -> None:
    code = "import mango_grader.runtime as r; print({n for n in dir(r) if hasattr(r, n)} == set(r.__all__))"
    assert run(code).stdout == "True\n"


def test_names_of_earlier_versions_are_still_imported() -> None:
    from mango_grader.runtime import ExitPolicy, Policy, parse_exit_policy, parse_policy

    assert (Policy, parse_policy) == (ExitPolicy, parse_exit_policy)
