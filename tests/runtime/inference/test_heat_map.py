"""Heat maps of a real model without torch: its features are the pixels, so that what each map must show is known."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundles import COLOURS, SIZE, WEIGHTS, change_bundle, make_bundle
from numpy.typing import NDArray
from onnx import numpy_helper

from mango_grader.errors import BundleError, ImageError, UsageError
from mango_grader.runtime.bundle.archive import MANIFEST
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.heat_map import HeatMaps, contrast
from mango_grader.runtime.inference.verify import verify_bundle


def red_at(top: int, left: int) -> NDArray[np.uint8]:
    """Green, with one red patch of 3 × 4 pixels."""
    image = np.full((*SIZE, 3), COLOURS["green"], np.uint8)
    image[top : top + 3, left : left + 4] = COLOURS["red"]
    return image


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("exit_number", [1, 2])
def test_the_mean_of_a_heat_map_is_the_answer(bundle: Path, precision: str, exit_number: int) -> None:
    grader = Grader.load(bundle, "cpu", precision, policy=f"exit:{exit_number}")
    image = red_at(2, 3)
    record, found = grader.grade(image), grader.explain(image)
    assert (found.grade, found.exit) == (record.grade, exit_number)
    assert record.probabilities is not None
    logits = np.log(record.probabilities) * grader.manifest.exits[exit_number - 1].temperature
    answer = grader.manifest.classes.index(found.grade)
    wanted = logits[answer] - np.delete(logits, answer).mean()
    assert found.values.shape == SIZE
    assert found.values.mean() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (9, 12), (4, 7)])
def test_the_evidence_for_a_grade_is_where_its_colour_is(bundle: Path, top: int, left: int) -> None:
    grader = Grader.load(bundle, "cpu")
    record = grader.grade(np.full((*SIZE, 3), COLOURS["red"], np.uint8))
    found = grader.explain(red_at(top, left), record)
    assert found.grade == "red"
    x, y = found.peak
    assert left <= x * SIZE[1] <= left + 4
    assert top <= y * SIZE[0] <= top + 3


def test_a_contrast_is_against_the_mean_of_the_others() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(3, 2, 2) ** 2
    np.testing.assert_allclose(contrast(maps, 1), maps[1] - (maps[0] + maps[2]) / 2)


def test_an_image_without_a_grade_has_no_heat_map(bundle: Path) -> None:
    with pytest.raises(ImageError, match="empty file"):
        Grader.load(bundle, "cpu").explain(b"")


def test_an_older_bundle_says_that_the_run_must_be_exported_again(tmp_path: Path) -> None:
    grader = Grader.load(make_bundle(tmp_path / "old.mango", schema=2), "cpu")
    with pytest.raises(UsageError, match=r"has no heat maps: .* export its run again with mango-grader export RUN"):
        grader.explain(red_at(0, 0))


def test_a_network_without_class_maps_says_so(tmp_path: Path) -> None:
    def change(parts: dict[str, bytes]) -> None:
        values = json.loads(parts[MANIFEST])
        for name in values["heat"]:
            del parts[name], values["hashes"][name]
        parts[MANIFEST] = json.dumps({**values, "heat": []}).encode()

    grader = Grader.load(change_bundle(make_bundle(tmp_path / "own.mango"), change), "cpu")
    assert grader.grade(red_at(0, 0)).error is None
    with pytest.raises(UsageError, match="does not classify the mean over positions"):
        grader.explain(red_at(0, 0))
    assert all(finding.check != "heat maps" for finding in verify_bundle(grader.bundle, "cpu"))


def test_eight_threads_get_the_maps_of_one(bundle: Path) -> None:
    images = [red_at(row, column) for row in range(9) for column in range(0, 12, 3)]
    alone, shared = (Grader.load(bundle, "cpu", policy="threshold") for _ in range(2))
    wanted = [alone.explain(image).values for image in images]
    with ThreadPoolExecutor(8) as pool:
        found = [each.values for each in pool.map(shared.explain, images)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def other_weights(model: onnx.ModelProto) -> None:
    (kernels,) = model.graph.initializer
    kernels.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernels) * 1.01, kernels.name))


def not_finite(model: onnx.ModelProto) -> None:
    (kernels,) = model.graph.initializer
    values = numpy_helper.to_array(kernels).copy()
    values[0, 0] = np.nan
    kernels.CopyFrom(numpy_helper.from_array(values, kernels.name))


def one_class_less(model: onnx.ModelProto) -> None:
    (kernels,) = model.graph.initializer
    kernels.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernels)[:2], kernels.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def another_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = model.graph.node[0].input[0] = "images"


def weights_elsewhere(model: onnx.ModelProto) -> None:
    (kernels,) = model.graph.initializer
    kernels.ClearField("raw_data")
    kernels.data_location = onnx.TensorProto.EXTERNAL
    entry = kernels.external_data.add()
    entry.key, entry.value = "location", "weights.bin"


FAULTS = {
    "other weights": (other_weights, "not those of its answers"),
    "weights that are not finite": (not_finite, "not finite|not those of its answers"),
    "fewer classes": (one_class_less, "one map for each class"),
    "another input": (another_input, "does not take an output of its stage"),
    "external weights": (weights_elsewhere, "another file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_crafted_heat_graph_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    change, message = FAULTS[fault]

    def changed(parts: dict[str, bytes]) -> None:
        model = onnx.load_from_string(parts["heat/stage1.onnx"])
        change(model)
        parts["heat/stage1.onnx"] = model.SerializeToString()

    grader = Grader.load(change_bundle(make_bundle(tmp_path / "own.mango"), changed), "cpu")
    with pytest.raises(BundleError, match=message) as caught:
        grader.explain(red_at(0, 0))
    assert "\n" not in str(caught.value)
    (finding,) = (one for one in verify_bundle(grader.bundle, "cpu") if one.check == "heat maps")
    assert not finding.ok


def test_a_sound_bundle_has_sound_heat_maps(bundle: Path) -> None:
    grader = Grader.load(bundle, "cpu")
    maps = HeatMaps.load(grader.bundle, grader.model).class_maps(red_at(0, 0)[None], 1)
    assert maps.shape == (1, 3, *SIZE)
    centred = red_at(0, 0) / np.float32(255) - np.float32(0.5)
    np.testing.assert_allclose(maps[0], (centred @ WEIGHTS).transpose(2, 0, 1), atol=1e-5)
