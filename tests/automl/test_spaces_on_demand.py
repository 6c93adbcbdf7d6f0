import json
import subprocess
import sys
from pathlib import Path

import pytest

from mango_grader.automl.architecture import Architecture, space_from_dict
from mango_grader.automl.spaces import SPACES, DagConfig


def test_an_architecture_is_read_though_only_its_own_module_is_imported(tmp_path: Path) -> None:
    space = DagConfig(height=32, width=32, classes=3)
    choices = {one.name: one.candidates[: one.min_chosen] for one in space.decisions()}
    found = Architecture(space, choices)
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(found.to_dict()), encoding="utf-8")
    code = (
        "import json, pathlib, sys; from mango_grader.automl.architecture import Architecture;"
        "data = json.loads(pathlib.Path(sys.argv[1]).read_text());"
        "print(json.dumps(Architecture.from_dict(data).to_dict()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["none such", None, {}, ["dag"]])
def test_an_unknown_space_is_told_which_are_known(kind: object) -> None:
    with pytest.raises(ValueError, match=f"known: .*{'.*'.join(sorted(SPACES))}"):
        space_from_dict({"kind": kind})
