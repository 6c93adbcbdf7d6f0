"""Registries whose objects are imported when they are asked for."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from mango_grader.automl.methods import METHODS
from mango_grader.lazy import LazyRegistry
from mango_grader.workflow.presets import PRESET_HELP, PRESETS


def test_a_registry_is_a_mapping_of_what_its_modules_hold() -> None:
    found: Mapping[str, Any] = LazyRegistry("os", {"join": "path.join", "split": "path.split"})
    assert (list(found), len(found), "join" in found, "other" in found) == (["join", "split"], 2, True, False)
    assert found["join"]("a", "b") == "a/b"
    with pytest.raises(KeyError):
        found["other"]


def test_every_method_is_found_under_its_own_name() -> None:
    assert {name: method.name for name, method in METHODS.items()} == {name: name for name in METHODS}


def test_every_preset_says_what_it_is_for() -> None:
    assert list(PRESET_HELP) == list(PRESETS)


def test_names_alone_import_nothing() -> None:
    code = (
        "import sys; from mango_grader.automl.methods import METHODS\n"
        "from mango_grader.automl.spaces import SPACES; from mango_grader.models.baselines import BASELINES\n"
        "from mango_grader.workflow.presets import PRESETS\n"
        "assert 'enas' in METHODS and 'quick' in PRESETS and [*METHODS, *PRESETS, *SPACES, *BASELINES]\n"
        "print(sorted({'torch', 'numpy', 'pydantic'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
