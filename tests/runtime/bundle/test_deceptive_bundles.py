"""Bundles whose hashes are right and whose content is not: one line each, and never an answer."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import change_bundle, make_bundle, solid
from onnx import TensorProto, helper, numpy_helper

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.archive import MANIFEST, Bundle
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.verify import verify_bundle

Parts = dict[str, bytes]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "own.mango")


def refused(path: Path) -> str:
    """Return why the bundle gives no grader; the reason is one line."""
    with pytest.raises(BundleError) as caught:
        Grader.load(path, "cpu")
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


def with_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    def changed(parts: Parts) -> None:
        values = json.loads(parts[MANIFEST])
        change(values)
        parts[MANIFEST] = json.dumps(values).encode()

    return change_bundle(path, changed)


@pytest.mark.parametrize(
    "name", [None, 3, {"a": 1}, ["a"], True, "", "  ", "a\nb", "\x1b[31mred", "\ud800", "x" * 1001]
)
def test_class_names_that_are_no_text_are_refused_not_answered_with(own: Path, name: object) -> None:
    assert "manifest.json" in refused(with_manifest(own, lambda values: values.update(classes=["green", name, "red"])))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("ordinal", 0), ("ordinal", "no"), ("ordinal", None), ("default_policy", ["full"]), ("schema", True),
        ("schema", 2.0), ("schema", "2"), ("schema", 10**30), ("preprocess.height", "12"), ("preprocess.height", 12.0),
        ("preprocess.height", 0), ("preprocess.height", 4097), ("preprocess.width", True), ("preprocess.fill", [0, 0]),
        ("preprocess.fill", [0, 0, 256]), ("preprocess.rotate_portrait", 1), ("exits.0.temperature", "2"),
        ("exits.0.temperature", True), ("exits.0.temperature", 0), ("exits.0.temperature", 1e-300),
        ("exits.0.temperature", -2.0), ("exits.0.macs", 1.5), ("exits.0.macs", -1), ("exits.0.params", 10**30),
        ("exits.0.name", None), ("policies.threshold", ["0.5"]), ("policies.threshold", [-0.1]),
        ("policies.threshold", [2.5]), ("policies.threshold", [True]), ("policies.full", [0.5]),
        ("policies.exit:1", [0.5]), ("stages.fp32", "ab"), ("stages.fp32", ["stage0.onnx", "../stage1.onnx"]),
        ("full", "/etc/passwd"), ("full", "a\\b"), ("hashes", []), ("hashes.card.md", "0" * 63),
        ("hashes.card.md", "G" * 64), ("originals", []), ("originals", ["a"] * 5), ("originals", [1]),
        ("provenance", [1]), ("provenance", {"a": "\x1b[2J"}), ("extra", 1),
    ],
)  # fmt: skip
def test_a_field_of_another_type_or_range_is_named_and_never_converted(own: Path, place: str, value: object) -> None:
    def change(values: dict[str, Any]) -> None:
        *way, last = place.split(".", 2 if place.startswith("exits") else 1)
        inside: Any = values
        for step in way:
            inside = inside[int(step) if step.isdigit() else step]
        inside[last] = value

    words = refused(with_manifest(own, change))
    assert "manifest" in words


@pytest.mark.parametrize(
    "field",
    ["schema", "classes", "ordinal", "preprocess", "exits", "stages", "full", "policies", "originals", "hashes"],
)
def test_a_field_that_is_missing_is_named(own: Path, field: str) -> None:
    assert field in refused(with_manifest(own, lambda values: values.pop(field)))


@pytest.mark.parametrize(
    "text",
    [
        b'{"schema": ' + b"9" * 5000 + b"}", b'{"schema": 2, "provenance": NaN}', b'{"schema": 2, "exits": -Infinity}',
        b'{"schema": 1e999}', b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"schema": 2, "schema": 1}',
        b'{"schema": 2, "classes": "\\ud800"}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"", b"null", b'"\x00"',
    ],
)  # fmt: skip
def test_a_manifest_that_is_no_strict_json_is_refused(own: Path, text: bytes) -> None:
    assert "manifest.json" in refused(change_bundle(own, lambda parts: parts.update({MANIFEST: text}), rehash=False))


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe", b"[0, 1, true]", b"[0, 1, 3]", b"[0, 1, -1]", b"[0, 1, 2.0]", b"[0, 1]", b"{}", b"[]", b"[" * 10**5],
)
def test_golden_labels_that_are_no_classes_are_refused(own: Path, text: bytes) -> None:
    refused(change_bundle(own, lambda parts: parts.update({"golden/labels.json": text})))


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x04N.", npy("{'descr': "), npy("(" * 9000), npy("\x00"), npy("'\\d'"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (999999999, 999999999, 99999999, 3), }"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-3, 12, 16, 3), }"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 12, 16, 3), }"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (3, 12, 16, 3), }", bytes(4608)),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 12, 16, 3), }", bytes(1727)),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 12, 16, 3), }", bytes(1728), b"\x03\x00"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 12, 16, 9), }", bytes(1728)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", ["golden/images.npy", "golden/probabilities.npy", "encoded/pixels.npy"])
def test_an_array_header_that_pythons_parser_would_choke_on_is_one_line(own: Path, part: str, data: bytes) -> None:
    words = refused(change_bundle(own, lambda parts: parts.update({part: data})))
    assert part in words or "images" in words


def test_arrays_in_fortran_order_are_read_as_they_were(tmp_path: Path) -> None:
    import io

    from mango_grader.runtime.bundle.arrays import read_images

    values = np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    buffer = io.BytesIO()
    np.save(buffer, values)
    np.testing.assert_array_equal(read_images(buffer.getvalue(), "x"), values)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5, 0.4])
def test_golden_answers_that_are_no_probabilities_are_refused(own: Path, value: float) -> None:
    def change(parts: Parts) -> None:
        data = bytearray(parts["golden/probabilities.npy"])
        data[-12:] = np.array([value, 0.3, 0.2], "<f4").tobytes()
        parts["golden/probabilities.npy"] = bytes(data)

    assert "not probabilities" in refused(change_bundle(own, change))


def test_a_card_that_is_not_utf8_fails_the_check(own: Path) -> None:
    change_bundle(own, lambda parts: parts.update({"card.md": b"\xff"}))
    with pytest.raises(BundleError, match=r"card\.md is not UTF-8"):
        _ = Bundle.open(own).card
    assert not verify_bundle(Bundle.open(own), "cpu")[0].ok


@pytest.mark.parametrize("how", ["compressed", "twice", "announced"])
def test_a_zip_that_grows_is_refused_before_it_is_read(own: Path, how: str, recwarn: pytest.WarningsRecorder) -> None:
    with zipfile.ZipFile(own) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    kind = zipfile.ZIP_DEFLATED if how == "compressed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(own, "w", kind) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
        if how == "twice":
            archive.writestr("card.md", parts["card.md"])
    if how == "announced":
        data = bytearray(own.read_bytes())
        place = data.rindex(b"PK\x01\x02")
        data[place + 20 : place + 28] = struct.pack("<II", 1 << 31, 1 << 31)
        own.write_bytes(data)
    recwarn.clear()
    assert "model" in refused(own)
    assert not recwarn.list


def graph_of(parts: Parts, change: Callable[[onnx.ModelProto], object], name: str = "stage0.onnx") -> None:
    model = onnx.load_from_string(parts[name])
    change(model)
    parts[name] = model.SerializeToString()


def _two_classes(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.startswith("weights"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[..., :2], tensor.name))
    for port in model.graph.output:
        if port.name.startswith("logits"):
            port.type.tensor_type.shape.dim[1].dim_value = 2


def _external(model: onnx.ModelProto) -> None:
    tensor = next(one for one in model.graph.initializer if one.name == "weights0")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"


def _loop(model: onnx.ModelProto) -> None:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(helper.make_tensor("for_ever", TensorProto.INT64, [], [2**62]))
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("Loop", ["for_ever", "yes"], [], body=inner))


def _foreign(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def _function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("f", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 18)]))


GRAPHS = {
    "fewer classes than the manifest": _two_classes,
    "weights in another file": _external,
    "a loop": _loop,
    "a foreign operation": _foreign,
    "a function": _function,
    "an unknown operation": lambda model: setattr(model.graph.node[0], "op_type", "Grade"),
    "another input": lambda model: setattr(model.graph.input[0], "name", "photos"),
    "another kind of input": lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 1),
    "a fixed batch": lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 3),
    "another size": lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 13),
    "no output": lambda model: model.graph.ClearField("output"),
    "no graph": lambda model: model.ClearField("graph"),
}


@pytest.mark.parametrize("what", GRAPHS)
@pytest.mark.parametrize("part", ["stage0.onnx", "full.onnx"])
def test_a_graph_that_is_not_what_the_manifest_implies_is_refused(
    own: Path, what: str, part: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change_bundle(own, lambda parts: graph_of(parts, GRAPHS[what], part))
    if part == "stage0.onnx":
        refused(own)
    findings = verify_bundle(Bundle.open(own), "cpu")
    assert not all(finding.ok for finding in findings)
    assert all("\n" not in finding.detail for finding in findings)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_a_graph_that_answers_in_another_shape_than_it_declares_gives_no_grade(own: Path) -> None:
    """onnxruntime only warns of that."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Concat", ["logits", "logits"], ["twice"], axis=1))
        for node in model.graph.node:
            node.output[:] = ["before" if name == "logits" else name for name in node.output]
            node.input[:] = ["before" if name == "logits" else name for name in node.input]
        model.graph.node[-1].output[0] = "logits"

    change_bundle(own, lambda parts: graph_of(parts, change))
    with pytest.raises(BundleError):
        Grader.load(own, "cpu", check=False).grade(solid("red"))


def _endless(model: onnx.ModelProto) -> None:
    """Ask for more numbers than any memory holds."""
    for name, value in {"first": 0, "end": 2**62, "step": 1}.items():
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [], [value]))
    model.graph.node.append(helper.make_node("Range", ["first", "end", "step"], ["many"]))
    model.graph.node.append(helper.make_node("Cast", ["many"], ["floats_of_many"], to=TensorProto.FLOAT))
    model.graph.node.append(helper.make_node("ReduceMean", ["floats_of_many"], ["one"], keepdims=0))
    for node in model.graph.node:
        node.output[:] = ["before" if name == "logits" else name for name in node.output]
    model.graph.node.append(helper.make_node("Add", ["before", "one"], ["logits"]))


def _no_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims.append(2**62)


@pytest.mark.parametrize("change", [_endless, _no_shape])
def test_onnxruntime_prints_nothing_of_its_own(
    own: Path, change: Callable[[onnx.ModelProto], None], capfd: pytest.CaptureFixture[str]
) -> None:
    change_bundle(own, lambda parts: graph_of(parts, change))
    assert str(own) in refused(own)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_a_name_in_a_graph_that_is_not_utf8_prints_no_ep_error(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def change(parts: Parts) -> None:
        parts["stage0.onnx"] = parts["stage0.onnx"].replace(b"MatMul", b"Mat\xff\xfel")

    assert "stage0.onnx: onnxruntime cannot load a graph" in refused(change_bundle(own, change))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize("name", ["encoded/wide.jpg", "encoded/turned.jpg", "encoded/clear.png", "encoded/small.png"])
def test_an_image_file_that_is_decoded_otherwise_than_at_export_stops_the_load(own: Path, name: str) -> None:
    def change(parts: Parts) -> None:
        index = json.loads(parts[MANIFEST])["originals"].index(name)
        size = 12 * 16 * 3
        data = bytearray(parts["encoded/pixels.npy"])
        start = len(data) - 4 * size + index * size
        data[start + 300] = (data[start + 300] + 5) % 256
        parts["encoded/pixels.npy"] = bytes(data)

    words = refused(change_bundle(own, change))
    assert name in words
    assert "grey levels" in words
    failed = [finding for finding in verify_bundle(Bundle.open(own), "cpu") if not finding.ok]
    assert [finding.check for finding in failed] == ["encoded originals"]


def test_an_original_whose_answer_changed_stops_the_load(own: Path) -> None:
    def change(parts: Parts) -> None:
        data = bytearray(parts["encoded/probabilities.npy"])
        data[-12:] = np.array([0.2, 0.3, 0.5], "<f4").tobytes()
        parts["encoded/probabilities.npy"] = bytes(data)

    assert "does not reproduce its encoded originals here" in refused(change_bundle(own, change))


def test_an_original_of_more_than_64_kb_is_refused(own: Path) -> None:
    assert "has more than 65536 bytes" in refused(
        change_bundle(own, lambda parts: parts.update({"encoded/small.png": bytes(65537)}))
    )


def test_an_original_that_is_no_image_stops_the_load(own: Path) -> None:
    words = refused(change_bundle(own, lambda parts: parts.update({"encoded/small.png": b"no image"})))
    assert "encoded/small.png cannot be decoded here" in words


def test_a_bundle_of_schema_1_loads_and_says_what_it_lacks(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "old.mango", schema=1)
    assert Grader.load(path, "cpu").grade(solid("red")).grade == "red"
    last = verify_bundle(Bundle.open(path), "cpu")[-1]
    assert last.ok
    assert "not checked: the model lacks encoded originals (schema 1)" in last.detail
