"""Help of every command, in a process of its own."""

import subprocess
import sys

import pytest

from mango_grader.cli import COMMANDS
from mango_grader.cli.conveyor import CONVEYOR_COMMANDS

LOADED = """
import sys
from mango_grader.cli import main
try:
    main([*sys.argv[1:], "--help"])
except SystemExit as end:
    assert end.code == 0, end.code
heavy = {
    "torch", "torchvision", "numpy", "scipy", "sklearn", "onnxruntime", "onnx", "matplotlib", "pydantic", "cv2", "PIL",
    "albumentations", "pyarrow", "rich",
}
print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command", ["", *COMMANDS, "data inspect", "data synth", *(f"conveyor {name}" for name in CONVEYOR_COMMANDS)]
)
def test_help_imports_nothing_that_takes_time(command: str) -> None:
    asked = [sys.executable, "-c", LOADED, *command.split()]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == "[]\n"
