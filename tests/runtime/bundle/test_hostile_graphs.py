"""Graphs that were made to do harm: one line, soon, without the memory that they ask for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundles import SIZE, expected, make_bundle
from hostile import ChangeGraph, change_graph, refused
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from mango_grader.runtime.bundle.golden import Golden
from mango_grader.runtime.inference.grader import Grader

pytestmark = pytest.mark.usefixtures("harmless")


# Each puts a weight that is not finite where the golden images do not show it: times 0, or behind a small clip.
def _weights(model: onnx.ModelProto, tensor: TensorProto) -> None:
    tensor.name = "bad"
    model.graph.initializer.append(tensor)
    _unused(model, "bad")


def _unused(model: onnx.ModelProto, name: str) -> None:
    model.graph.node.append(helper.make_node("Cast", [name], ["bad_floats"], to=TensorProto.FLOAT))


def _raw(kind: type[np.generic], value: float) -> ChangeGraph:
    return lambda model: _weights(model, numpy_helper.from_array(np.array([1, value], kind)))


def _listed(kind: int, value: float) -> ChangeGraph:
    return lambda model: _weights(model, helper.make_tensor("", kind, [2], [1, value]))


def _constant(value: float) -> ChangeGraph:
    def change(model: onnx.ModelProto) -> None:
        tensor = numpy_helper.from_array(np.array([1, value], np.float32))
        model.graph.node.insert(0, helper.make_node("Constant", [], ["bad"], value=tensor))

    return change


def _setting(value: float) -> ChangeGraph:
    return lambda model: model.graph.node.append(helper.make_node("LeakyRelu", ["logits"], ["bad"], alpha=value))


def _settings(value: float) -> ChangeGraph:
    return lambda model: model.graph.node.insert(
        0, helper.make_node("Constant", [], ["bad"], value_floats=[1.0, value])
    )


NOT_FINITE: dict[str, Callable[[float], ChangeGraph]] = {
    "float32": lambda value: _raw(np.float32, value),
    "float16": lambda value: _raw(np.float16, value),
    "float64": lambda value: _raw(np.float64, value),
    "a list of float32": lambda value: _listed(TensorProto.FLOAT, value),
    "a list of float64": lambda value: _listed(TensorProto.DOUBLE, value),
    "a constant": _constant,
    "a setting": _setting,
    "a list of settings": _settings,
}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", NOT_FINITE)
def test_weights_that_are_not_finite_are_found_at_load_though_no_golden_image_reaches_them(
    own: Path, where: str, value: float
) -> None:
    assert "not finite" in refused(change_graph(own, NOT_FINITE[where](value)))


@pytest.mark.parametrize("kind", [0, TensorProto.BFLOAT16, TensorProto.COMPLEX64, TensorProto.STRING, 99])
def test_weights_of_a_kind_that_is_not_looked_into_are_refused(own: Path, kind: int) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(TensorProto(name="bad", data_type=kind, dims=[1], raw_data=bytes(16)))

    assert f"weights of the unknown kind {kind}" in refused(change_graph(own, change))


def _add(model: onnx.ModelProto, value: str) -> None:
    """Let the answer depend on a value."""
    for node in model.graph.node:
        node.output[:] = ["before" if name == "logits" else name for name in node.output]
    reduced = helper.make_node("ReduceMean", [value], [f"{value}_one"], keepdims=0)
    model.graph.node.extend([reduced, helper.make_node("Add", ["before", f"{value}_one"], ["logits"])])


def _numbers(model: onnx.ModelProto, name: str, values: list[int]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))


def _declared(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="huge", data_type=1, dims=[1 << 20, 1 << 20], raw_data=bytes(64)))
    _add(model, "huge")


def _zeros(model: onnx.ModelProto) -> None:
    _numbers(model, "shape", [1 << 16, 1 << 16])
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["huge"]))
    _add(model, "huge")


def _tiles(model: onnx.ModelProto) -> None:
    _numbers(model, "repeats", [1, 1 << 10, 1 << 10, 1])
    model.graph.node.append(helper.make_node("Tile", ["floats", "repeats"], ["huge"]))
    _add(model, "huge")


def _pads(model: onnx.ModelProto) -> None:
    weights = numpy_helper.from_array(np.zeros((1, 12, 1, 1), np.float32), "kernel")
    model.graph.initializer.append(weights)
    model.graph.node.append(helper.make_node("Conv", ["floats", "kernel"], ["huge"], pads=[1 << 15] * 4))
    _add(model, "huge")


def _layers(model: onnx.ModelProto) -> None:
    """Take little for each of many values."""
    _numbers(model, "repeats", [1, 64, 64, 1])
    model.graph.node.append(helper.make_node("Tile", ["floats", "repeats"], ["huge0"]))
    for number in range(500):
        model.graph.node.append(helper.make_node("Relu", [f"huge{number}"], [f"huge{number + 1}"]))
    _add(model, "huge500")


def _pairs(model: onnx.ModelProto) -> None:
    """Take memory that grows with the square of the batch."""
    _numbers(model, "row", [1, -1, 1])
    _numbers(model, "column", [-1, 1, 1])
    _numbers(model, "repeats", [1, 1, 1 << 12])
    model.graph.node.extend(
        [
            helper.make_node("Reshape", ["floats", "row"], ["as_row"]),
            helper.make_node("Reshape", ["floats", "column"], ["as_column"]),
            helper.make_node("Add", ["as_row", "as_column"], ["pairs"]),
            helper.make_node("Tile", ["pairs", "repeats"], ["huge"]),
        ]
    )
    _add(model, "huge")


TOO_LARGE = {
    "weights that are not there": _declared, "zeros": _zeros, "tiles": _tiles, "padding": _pads,
    "many layers": _layers, "all pairs of images": _pairs,
}  # fmt: skip


@pytest.mark.parametrize("what", TOO_LARGE)
def test_a_graph_that_would_need_gigabytes(own: Path, what: str) -> None:
    words = refused(change_graph(own, TOO_LARGE[what]))
    assert "GiB for one image, more than 1 GiB" in words or "declare more values than they hold" in words


def _by_image(operation: str) -> ChangeGraph:
    """Let a size depend on the pixels: nobody knows it before."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(1e9, np.float32), "billion"))
        _numbers(model, "flat", [1])
        model.graph.initializer.extend(
            numpy_helper.from_array(np.array(value, np.int64), name) for name, value in (("zero", 0), ("one", 1))
        )
        nodes = [
            helper.make_node("ReduceMax", ["floats"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "billion"], ["many"]),
            helper.make_node("Cast", ["many"], ["number"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["number", "flat"], ["size"]),
        ]
        last = {
            "Range": helper.make_node("Range", ["zero", "number", "one"], ["huge_numbers"]),
            "ConstantOfShape": helper.make_node("ConstantOfShape", ["size"], ["huge_numbers"]),
            "Expand": helper.make_node("Expand", ["billion", "size"], ["huge_numbers"]),
            "NonZero": helper.make_node("NonZero", ["floats"], ["huge_numbers"]),
        }[operation]
        model.graph.node.extend([*nodes, last])
        model.graph.node.append(helper.make_node("Cast", ["huge_numbers"], ["huge"], to=TensorProto.FLOAT))
        # A declared size is no known size.
        model.graph.value_info.append(helper.make_tensor_value_info("huge_numbers", TensorProto.INT64, [1]))
        _add(model, "huge")

    return change


@pytest.mark.parametrize("operation", ["Range", "ConstantOfShape", "Expand", "NonZero"])
def test_a_graph_whose_sizes_depend_on_the_image(own: Path, operation: str) -> None:
    assert "size depends on the image" in refused(change_graph(own, _by_image(operation)))


def test_a_cyclic_graph(own: Path) -> None:
    def tie(model: onnx.ModelProto) -> None:
        node = next(one for one in model.graph.node if "floats" in one.output)
        node.input[0] = "unit"

    assert "stage0.onnx: onnxruntime cannot load a graph" in refused(change_graph(own, tie))


def test_a_graph_of_thousands_of_operations(own: Path) -> None:
    def lengthen(model: onnx.ModelProto) -> None:
        model.graph.node.extend(helper.make_node("Relu", ["logits"], [f"copy{number}"]) for number in range(20_000))

    assert "20007 operations, more than 10000" in refused(change_graph(own, lengthen))


def _elsewhere(model: onnx.ModelProto) -> TensorProto:
    tensor = TensorProto(name="far", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


@pytest.mark.parametrize("where", ["initializer", "attribute", "attributes"])
def test_weights_in_another_file(own: Path, where: str) -> None:
    def change(model: onnx.ModelProto) -> None:
        if where == "initializer":
            model.graph.initializer.append(_elsewhere(model))
            return
        attribute = AttributeProto(name="value", type=AttributeProto.TENSOR)
        if where == "attribute":
            attribute.t.CopyFrom(_elsewhere(model))
        else:
            attribute.tensors.append(_elsewhere(model))
        model.graph.node.add(op_type="Constant", output=["far"]).attribute.append(attribute)

    assert "weights in another file" in refused(change_graph(own, change))


@pytest.mark.parametrize("size", [0, -1, 1 << 31, (1 << 63) - 1])
def test_an_input_of_a_huge_declared_size(own: Path, size: int) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = size

    assert "stage0.onnx" in refused(change_graph(own, change))


def test_a_thousand_golden_images_take_the_memory_of_a_few(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1000, *SIZE, 3), np.uint8)
    path = make_bundle(tmp_path / "m.mango", golden=Golden(images, expected(images), (0,) * 1000))

    def larger(model: onnx.ModelProto) -> None:
        """Let each image take 12 MiB on its way."""
        _numbers(model, "many", [1, 128, 128, 1])
        _numbers(model, "from", [0, 0])
        _numbers(model, "to", [*SIZE])
        _numbers(model, "axes", [1, 2])
        model.graph.node.insert(1, helper.make_node("Tile", ["floats", "many"], ["tiled"]))
        model.graph.node.insert(2, helper.make_node("Slice", ["tiled", "from", "to", "axes"], ["back"]))
        model.graph.node[3].input[0] = "back"

    change_graph(path, larger)
    assert Grader.load(path, "cpu").grade(images[0]).error is None
