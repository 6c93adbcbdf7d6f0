"""Small real bundles without torch: a two-stage model that tells how green, yellow and red an image is."""

import json
import zipfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mango_grader.export.originals import draw_originals
from mango_grader.files import digest
from mango_grader.runtime.bundle.archive import CARD, MANIFEST, write_bundle
from mango_grader.runtime.bundle.calibration import CalibrationData, calibration_parts
from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
from mango_grader.runtime.bundle.manifest import SCHEMA, ExitInfo, Manifest, Prices, Thresholds
from mango_grader.runtime.images.preprocess import Preprocess

CLASSES = ("green", "yellow", "red")
COLOURS = {"green": (20, 200, 20), "yellow": (220, 220, 20), "red": (220, 20, 20)}
# Columns are classes; applied to the mean colour in 0..1, centred on 0.5.
WEIGHTS = np.array([[-4.0, 3.0, 4.0], [4.0, 3.0, -4.0], [0.0, -2.0, 0.0]], np.float32)
SHARPNESS = (1.0, 3.0)
TEMPERATURES = (2.0, 1.5)
SIZE = (12, 16)


def expected(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the calibrated probabilities (2, N, 3) by plain numpy."""
    mean = images.astype(np.float64).mean(axis=(1, 2)) / 255 - 0.5
    found = []
    for sharpness, temperature in zip(SHARPNESS, TEMPERATURES, strict=True):
        powers = np.exp(mean @ WEIGHTS * sharpness / temperature)
        found.append(powers / powers.sum(axis=1, keepdims=True))
    return np.stack(found).astype(np.float32)


def solid(name: str, size: tuple[int, int] = (40, 30)) -> NDArray[np.uint8]:
    """Return a image of one class's colour, (H, W, 3)."""
    return np.full((*size[::-1], 3), COLOURS[name], np.uint8)


def make_bundle(
    path: Path,
    *,
    classes: Sequence[str] = CLASSES,
    policies: dict[str, tuple[float, ...]] | None = None,
    golden: Golden | None = None,
    originals: Originals | None = None,
    noise: float = 0.0,
    schema: int = SCHEMA,
    ordinal: bool = False,
    calibration: CalibrationData | None = None,
    retrained: bool = False,
    products: int = 0,
    **fields: Any,
) -> Path:
    """Write a bundle whose exits agree with `expected`.

    `noise` shifts the int8 stages' logits; `products` of 256 × 256 matrices slow the second fp32 stage down, about
    half a millisecond each.
    """
    images = np.stack([np.full((*SIZE, 3), colour, np.uint8) for colour in COLOURS.values()])
    originals = originals or drawn_originals()
    heat = ("heat/stage0.onnx", "heat/stage1.onnx") if schema > 2 else ()
    manifest = Manifest(
        schema=schema,
        classes=tuple(classes),
        ordinal=ordinal,
        preprocess=Preprocess(*SIZE),
        exits=(ExitInfo("first", 100, 10, TEMPERATURES[0]), ExitInfo("last", 400, 40, TEMPERATURES[1])),
        stages={"fp32": ("stage0.onnx", "stage1.onnx"), "int8": ("int8/stage0.onnx", "int8/stage1.onnx")},
        policies={
            name: Thresholds("confidence", values)
            for name, values in ({"threshold": (0.6,)} if policies is None else policies).items()
        },
        calibration=None if calibration is None else calibration.info(retrained=retrained),
        heat=heat,
        originals=tuple(originals.files) if schema > 1 else (),
        provenance={"created": "2025-01-01", "method": "by hand", "metrics": {"accuracy": 1.0}},
        **fields,
    )
    parts = {
        "stage0.onnx": _stage0(0.0), "stage1.onnx": _stage1(products), "full.onnx": _full(),
        "int8/stage0.onnx": _stage0(noise), "int8/stage1.onnx": _stage1(), CARD: b"# By hand\n",
    }  # fmt: skip
    if heat:
        parts |= {heat[0]: _heat(0, "state0"), heat[1]: _heat(1, "features")}
    golden = golden or Golden(images, expected(images), tuple(range(len(images))))
    parts |= golden_parts(golden) | (original_parts(originals) if schema > 1 else {})
    if calibration is not None:
        parts |= calibration_parts(dict.fromkeys(("fp32", "int8"), calibration))
    write_bundle(path, manifest, parts)
    return path


def make_whole_bundle(path: Path) -> Path:
    """Write a bundle that has everything that one may have: calibration data and prices, too."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(CLASSES), 300).astype(np.int32)
    logits = rng.normal(0, 1, (2, 300, len(CLASSES))) + 4 * np.eye(len(CLASSES))[labels]
    groups = np.arange(300, dtype=np.int32) // 2
    prices = Prices(tuple(tuple(abs(a - b) * 2.0 for b in range(3)) for a in range(3)), (0.5,) * 3)
    calibration = CalibrationData(logits.astype(np.float32), groups, labels)
    return make_bundle(path, calibration=calibration, prices=prices, default_policy="threshold")


def change_bundle(path: Path, change: Callable[[dict[str, bytes]], object], *, rehash: bool = True) -> Path:
    """Write the bundle's ZIP again after `change` of its parts; `rehash` corrects the hashes of what changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    before = {name: digest(data) for name, data in parts.items()}
    change(parts)
    if rehash:
        values = json.loads(parts[MANIFEST])
        hashes = values.get("hashes") if isinstance(values, dict) else None
        for name in parts.keys() - {MANIFEST}:
            if isinstance(hashes, dict) and digest(parts[name]) != before.get(name):
                hashes[name] = digest(parts[name])
        parts[MANIFEST] = json.dumps(values).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def overflow(parts: dict[str, bytes]) -> None:
    """Give the last int8 stage finite weights whose answers to red are not finite."""
    model = onnx.load_from_string(parts["int8/stage1.onnx"])
    (weights,) = [one for one in model.graph.initializer if one.name == "weights1"]
    values = np.array([[3e38] * 3, [-3e38] * 3, [-3e38] * 3, [0] * 3], np.float32)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    parts["int8/stage1.onnx"] = model.SerializeToString()


def drawn_originals() -> Originals:
    """Return the originals of an export, with the pixels and answers of this model."""
    fit = Preprocess(*SIZE)
    drawn = draw_originals(fit)
    pixels = np.stack([fit(data) for data in drawn.values()])
    return Originals(drawn, pixels, expected(pixels))


def _image() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *SIZE, 3])


def _vector(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3])


def _map(name: str, channels: int = 4) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, *SIZE])


def _weights(number: int) -> NDArray[np.float32]:
    """Weights (4, 3) of a head: of the three colours, and of the noise, which shifts the first class."""
    return np.concatenate([WEIGHTS * SHARPNESS[number], [[1, 0, 0]]]).astype(np.float32)


def _constants(noise: float) -> list[onnx.TensorProto]:
    arrays = {
        "range": np.float32(255), "half": np.float32(0.5), "noise": np.float32(noise),
        "one_more": np.array([0, 0, 0, 0, 0, 1, 0, 0]), "positions": np.array([2, 3]),
        "weights0": _weights(0), "weights1": _weights(1), "eye": np.eye(256, dtype=np.float32), "zero": np.float32(0),
        "kernels0": _weights(0).T[:, :, None, None].copy(), "kernels1": _weights(1).T[:, :, None, None].copy(),
    }  # fmt: skip
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]


def _pixels() -> list[onnx.NodeProto]:
    """Make "state0", the centred colours with the noise as a fourth channel."""
    return [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "range"], ["unit"]),
        helper.make_node("Sub", ["unit", "half"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["colours"], perm=[0, 3, 1, 2]),
        helper.make_node("Pad", ["colours", "one_more", "noise"], ["state0"]),
    ]


def _head(number: int, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("ReduceMean", ["state0", "positions"], [f"means{number}"], keepdims=0),
        helper.make_node("MatMul", [f"means{number}", f"weights{number}"], [out]),
    ]


def _stage0(noise: float) -> bytes:
    return _model([*_pixels(), *_head(0, "logits")], [_image()], [_vector("logits"), _map("state0")], noise)


def _stage1(products: int = 0) -> bytes:
    nodes = _head(1, "logits")
    if products:
        nodes[-1].output[0] = "answer"
        nodes += _slow(products)
    nodes.append(helper.make_node("Identity", ["state0"], ["features"]))
    return _model(nodes, [_map("state0")], [_vector("logits"), _map("features")])


def _slow(products: int) -> list[onnx.NodeProto]:
    """Add zero times the product of many matrices, which depend on the input, so that it is not computed at load."""
    chain = [f"product{number}" for number in range(products + 1)]
    return [
        helper.make_node("ReduceMean", ["state0"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["eye", "mean"], [chain[0]]),
        *(helper.make_node("MatMul", [one, "eye"], [other]) for one, other in pairwise(chain)),
        helper.make_node("ReduceMean", [chain[-1]], ["end"], keepdims=0),
        helper.make_node("Mul", ["end", "zero"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["logits"]),
    ]


def _heat(number: int, taken: str) -> bytes:
    node = helper.make_node("Conv", [taken, f"kernels{number}"], ["maps"])
    return _model([node], [_map(taken)], [_map("maps", channels=3)])


def _full() -> bytes:
    nodes = [*_pixels(), *_head(0, "logits0"), *_head(1, "logits1")]
    return _model(nodes, [_image()], [_vector("logits0"), _vector("logits1")])


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    noise: float = 0.0,
) -> bytes:
    used = {name for node in nodes for name in node.input}
    constants = [one for one in _constants(noise) if one.name in used]
    graph = helper.make_graph(nodes, "by hand", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()
