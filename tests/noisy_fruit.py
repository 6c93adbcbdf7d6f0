"""A real bundle of three exits without torch, and synthetic fruit that are more or less hard for them.

A fruit is small, of one of three colours, more or less strongly, under heavy noise. The exits see the mean colour of 2,
5 and 12 rows of pixels, so a later one is less disturbed.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mango_grader.export.originals import draw_originals
from mango_grader.runtime.bundle.archive import CARD, Bundle, write_bundle
from mango_grader.runtime.bundle.calibration import CalibrationData, calibration_parts
from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
from mango_grader.runtime.bundle.manifest import ExitInfo, Manifest
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.sessions import StagedModel, make_session, run_session, softmax

CLASSES = ("green", "yellow", "red")
MACS = (100, 250, 400)
SIZE = (12, 16)
ROWS = (2, 5, 12)
_COLOURS = np.array([[-1, 1, -1], [1, 1, -1], [1, -1, -1]], np.float32)
_SHARPNESS = (0.10, 0.15, 0.25)  # of the logits; the exits are not calibrated without their temperatures


@dataclass(frozen=True)
class NoisyFruit:
    """Images of fruit.

    Attributes:
        images: uint8 (N, 12, 16, 3).
        labels: int32 (N,), the class of each image's fruit.
        groups: int32 (N,), the fruit of each image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    groups: NDArray[np.int32]


def draw_fruit(count: int, seed: int, per_fruit: int = 1) -> NoisyFruit:
    """Return images of `count` fruit, `per_fruit` of each."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, 3, count, np.int32), per_fruit)
    strength = np.repeat(rng.uniform(0, 40, (count, 1)), per_fruit, axis=0)
    colours = 128 + strength * _COLOURS[labels]
    noise = rng.normal(scale=60, size=(len(labels), *SIZE, 3)).astype(np.float32)
    images = np.clip(colours[:, None, None] + noise, 0, 255).astype(np.uint8)
    return NoisyFruit(images, labels, np.repeat(np.arange(count, dtype=np.int32), per_fruit))


def fruit_logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (3, N, 3) of the bundle's whole network."""
    return np.stack(run_session(make_session(_full(), "cpu"), {"images": images}))


def calibration_of(fruit: NoisyFruit, *, graded: bool = True) -> CalibrationData:
    """Return what a bundle keeps of fruit that it has graded."""
    return CalibrationData(fruit_logits(fruit.images), fruit.groups, fruit.labels if graded else None)


def make_noisy_bundle(
    path: Path,
    calibration: CalibrationData | None = None,
    *,
    temperatures: tuple[float, ...] = (1.0, 1.0, 1.0),
    retrained: bool = False,
    **fields: Any,
) -> Path:
    """Write the bundle."""
    fit = Preprocess(*SIZE)
    stages = tuple(f"stage{index}.onnx" for index in range(3))
    drawn = draw_originals(fit)
    pixels = np.stack([fit(data) for data in drawn.values()])
    golden = draw_fruit(3, seed=0)

    def answers(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([softmax(*each) for each in zip(fruit_logits(images), temperatures, strict=True)])

    info = None if calibration is None else replace(calibration.info(), retrained=retrained)
    manifest = Manifest(
        classes=CLASSES,
        ordinal=False,
        preprocess=fit,
        exits=tuple(ExitInfo(f"exit{index}", MACS[index], 10, temperatures[index]) for index in range(3)),
        stages={"fp32": stages},
        calibration=info,
        originals=tuple(drawn),
        provenance={"created": "2025-01-01"},
        **fields,
    )
    graphs = {name: _stage(index) for index, name in enumerate(stages)}
    parts = {
        **graphs, "full.onnx": _full(), CARD: b"# Noisy fruit\n",
        **golden_parts(Golden(golden.images, answers(golden.images), tuple(map(int, golden.labels)))),
        **original_parts(Originals(drawn, pixels, answers(pixels))),
        **({} if calibration is None else calibration_parts({"fp32": calibration})),
    }  # fmt: skip
    write_bundle(path, manifest, parts)
    return path


def load_stages(path: Path) -> StagedModel:
    """Start the stages of a bundle."""
    return StagedModel.load(Bundle.open(path), "cpu")


def _nodes(index: int, source: str, out: str) -> list[onnx.NodeProto]:
    """Return the nodes of one exit: the mean colour of its rows, and the likeness to each class's colour."""
    return [
        helper.make_node("Slice", [source, "start", f"rows{index}", "axis"], [f"part{index}"]),
        helper.make_node("ReduceMean", [f"part{index}", "axes"], [f"means{index}"], keepdims=0),
        helper.make_node("Sub", [f"means{index}", "grey"], [f"colour{index}"]),
        helper.make_node("MatMul", [f"colour{index}", f"weights{index}"], [out]),
    ]


_CAST = helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT)


def _stage(index: int) -> bytes:
    nodes = [*([] if index else [_CAST]), *_nodes(index, f"pixels{index - 1}" if index else "pixels", "logits")]
    outputs = [_logits("logits")]
    if index < 2:
        name = f"pixels{index}"
        nodes.append(helper.make_node("Identity", [f"pixels{index - 1}" if index else "pixels"], [name]))
        outputs.append(_pixels(name))
    return _model(nodes, [_pixels(f"pixels{index - 1}") if index else _images()], outputs)


def _full() -> bytes:
    nodes = [_CAST, *(node for index in range(3) for node in _nodes(index, "pixels", f"logits{index}"))]
    return _model(nodes, [_images()], [_logits(f"logits{index}") for index in range(3)])


def _images() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *SIZE, 3])


def _pixels(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *SIZE, 3])


def _logits(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3])


def _model(nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
    arrays: dict[str, Any] = {
        "start": np.array([0], np.int64), "axis": np.array([1], np.int64), "axes": np.array([1, 2], np.int64),
        "grey": np.float32(128), **{f"rows{index}": np.array([rows], np.int64) for index, rows in enumerate(ROWS)},
        **{f"weights{index}": _COLOURS.T * np.float32(sharp) for index, sharp in enumerate(_SHARPNESS)},
    }  # fmt: skip
    used = {name for node in nodes for name in node.input}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items() if name in used]
    graph = helper.make_graph(nodes, "noisy fruit", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()
