"""The detector finder with real graphs: both layouts, sizes of the input, masks, and graphs that are none of these."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from belts import Disc, draw_belt, draw_fruit_on
from detectors import SIDE, write_detector
from onnx import TensorProto, helper

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes, Belt, Camera
from mango_grader.line.calibration import learn_palette
from mango_grader.line.finders.detector import DetectorSettings

HEIGHT, WIDTH = 240, 480
AXES = Axes(Camera(WIDTH, HEIGHT), Belt("right", decision_line=0))
FRUIT = [Disc(80, 70), Disc(200, 150), Disc(259, 152), Disc(420, 180)]
IMAGE = draw_fruit_on(draw_belt(HEIGHT, WIDTH, 13), FRUIT)


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("fixed", [True, False])
def test_fruit_are_found_in_both_layouts(layout: Literal["columns", "rows"], fixed: bool, tmp_path: Path) -> None:
    size = (256, 480) if fixed else (480, 480)
    model = write_detector(tmp_path / "fruit.onnx", layout, size, fixed)
    finder = DetectorSettings(str(model), threshold=0.1, size=480).build(AXES)
    blobs = finder.find(IMAGE)
    assert len(blobs) == len(FRUIT)
    assert all(np.hypot(blob.x - disc.x, blob.y - disc.y) < 6 for blob, disc in zip(blobs, FRUIT, strict=True))
    assert all(blob.complete for blob in blobs)
    assert [blob.box.width for blob in blobs] == [SIDE] * 4


def test_frames_are_reduced_to_the_input_and_boxes_enlarged_again(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "fruit.onnx", "columns")
    fruit = [Disc(300, 200, 65), Disc(900, 380, 60)]
    image = draw_fruit_on(draw_belt(512, 1100), fruit)
    blobs = DetectorSettings(str(model), threshold=0.1).build(AXES).find(image)
    assert len(blobs) == 2
    for blob, disc in zip(blobs, fruit, strict=True):
        assert np.hypot(blob.x - disc.x, blob.y - disc.y) < 12
        assert blob.box.width == pytest.approx(SIDE * 1100 / 480, abs=1)


def test_masks_are_boxes_ellipses_or_what_is_not_belt(tmp_path: Path) -> None:
    model = str(write_detector(tmp_path / "fruit.onnx", "rows"))
    palette = learn_palette([draw_belt(HEIGHT, WIDTH, shift) for shift in range(0, 60, 7)])
    areas = {
        "box": DetectorSettings(model, threshold=0.1, mask="box"),
        "ellipse": DetectorSettings(model, threshold=0.1),
        "palette": DetectorSettings(model, threshold=0.1, palette=palette),
    }
    first = {name: settings.build(AXES).find(IMAGE)[0].area for name, settings in areas.items()}
    assert first["box"] == SIDE**2
    assert first["ellipse"] == pytest.approx(np.pi * (SIDE / 2) ** 2, rel=0.01)
    assert first["palette"] == pytest.approx(np.pi * 30**2, rel=0.2)


def test_settings_decide_what_counts(tmp_path: Path) -> None:
    model = str(write_detector(tmp_path / "fruit.onnx", "rows"))
    assert DetectorSettings(model, threshold=0.9).build(AXES).find(IMAGE) == []
    alone = DetectorSettings(model, threshold=0.1, overlap=0.0).build(AXES).find(IMAGE)
    assert len(alone) == 3  # the boxes of two touching fruit overlap


def graph_of(path: Path, shape: list[int | str], node: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> str:
    graph = helper.make_graph(
        [node],
        "none",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("output", kind, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return str(path)


@pytest.mark.parametrize("shape", [[1, 3, 64], [4, 3, 64, 64], [1, 1, 64, 64], [1, 64, 64, 3], [1, 3, 9000, 64]])
def test_a_graph_with_another_input_is_refused(shape: list[int | str], tmp_path: Path) -> None:
    model = graph_of(tmp_path / "x.onnx", shape, helper.make_node("Identity", ["images"], ["output"]))
    with pytest.raises(UsageError, match=r"x\.onnx: the graph takes no single image"):
        DetectorSettings(model).build(AXES)


def test_a_graph_with_another_output_is_refused(tmp_path: Path) -> None:
    model = graph_of(tmp_path / "x.onnx", [1, 3, 64, 64], helper.make_node("Identity", ["images"], ["output"]))
    finder = DetectorSettings(model).build(AXES)
    with pytest.raises(UsageError, match=r"x\.onnx: the output has the shape \(1, 3, 64, 64\)"):
        finder.find(IMAGE)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        DetectorSettings(str(tmp_path / "none.onnx")).build(AXES)
    (tmp_path / "text.onnx").write_text("not a graph")
    with pytest.raises(UsageError, match=r"text\.onnx: onnxruntime cannot load a graph"):
        DetectorSettings(str(tmp_path / "text.onnx")).build(AXES)
