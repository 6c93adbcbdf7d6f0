"""Bundles that were made to do harm, and the one line by which each is refused."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from bundles import change_bundle

from mango_grader.errors import BundleError
from mango_grader.runtime.inference.grader import Grader

Parts = dict[str, bytes]
ChangeGraph = Callable[[onnx.ModelProto], object]


def refused(path: Path) -> str:
    """Return the one line by which a bundle is refused, whether or not its golden answers are checked."""
    reasons = []
    for check in (True, False):
        with pytest.raises(BundleError) as caught:
            Grader.load(path, "cpu", "fp32", check=check)
        reasons.append(str(caught.value))
    assert reasons[0] == reasons[1]
    assert reasons[0].isprintable()
    assert len(reasons[0]) < 1000
    return reasons[0]


def change_graph(path: Path, change: ChangeGraph) -> Path:
    def changed(parts: Parts) -> None:
        model = onnx.load_from_string(parts["stage0.onnx"])
        change(model)
        parts["stage0.onnx"] = model.SerializeToString()

    return change_bundle(path, changed)
