"""Whole trainings with a teacher, through the command line."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.cli import main
from mango_grader.files import read_json, write_json

SETTINGS = [
    part for setting in ("train.epochs=25", "train.batch_size=8", "teacher.views=2") for part in ("--set", setting)
]
# Columns are green, red, yellow; applied to the mean colour, standardised by the usual figures.
WEIGHTS = np.array([[-3.0, 3.0, 3.0], [3.0, -3.0, 3.0], [0.0, 0.0, -2.0]], np.float32)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The architecture of a tiny network with two exits."""
    space = LayerwiseConfig(
        24, 24, 2, depth=2, channels=8, stem_channels=8, kernels=(3,), dilations=(1,), exits=(1, 2), reduce_at=(2,)
    )
    path = tmp_path_factory.mktemp("student") / "architecture.json"
    choices = {
        decision.name: (decision.candidates[0],) if decision.min_chosen else () for decision in space.decisions()
    }
    write_json(path, Architecture(space, choices).to_dict())
    return path


def write_onnx(
    path: Path, *, weights: np.ndarray = WEIGHTS, batch: int | str = "N", size: int | str = 24, softmax: bool = False
) -> Path:
    """Write a classifier (N, 3, H, W) float → (N, K) that looks at the mean colour."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {"axes": np.array([2, 3], np.int64), "weights": weights}
    graph = helper.make_graph(
        nodes[: 3 if softmax else 2],
        "by colour",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info(nodes[2 if softmax else 1].output[0], TensorProto.FLOAT, [batch, None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def train(student: Path, fruit: Path, out: Path, *arguments: object) -> Result:
    return run("train", "--architecture", student, "--data", fruit, "--out", out, *SETTINGS, *arguments)


@pytest.fixture(scope="module")
def taught(student: Path, fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    result = train(student, fruit, folder / "run", "--teacher", write_onnx(folder / "colour.onnx"))
    assert result.exit_code == 0, result.output
    assert "teacher: " in result.stderr
    return folder / "run"


def test_an_onnx_file_teaches(taught: Path) -> None:
    answers = [np.load(path) for path in sorted((taught / "teacher" / "answers").glob("*.npy"))]
    assert sum(map(len, answers)) == 2 * (len(read_json(taught / "split.json")["train"]) // 8)
    assert read_json(taught / "metrics.json")["test"]["exits"][0]["accuracy"]["value"] > 0.8


@pytest.mark.parametrize("kind", ["", "model.mango"], ids=["run", "bundle"])
def test_ours_teach(kind: str, taught: Path, student: Path, fruit: Path, tmp_path: Path) -> None:
    result = train(
        student, fruit, tmp_path / "run", "--teacher", taught / kind, "--set", "teacher.weight=1", "--size", 32
    )
    assert result.exit_code == 0, result.output
    assert read_json(tmp_path / "run" / "metrics.json")["test"]["exits"][0]["accuracy"]["value"] > 0.8


def test_probabilities_and_graphs_of_one_picture_at_a_time_are_understood(
    student: Path, fruit: Path, tmp_path: Path
) -> None:
    write_onnx(tmp_path / "odd.onnx", batch=1, size=20, softmax=True)
    write_onnx(tmp_path / "plain.onnx", size=20)
    for name in ("odd", "plain"):
        result = train(student, fruit, tmp_path / name, "--teacher", tmp_path / f"{name}.onnx")
        assert result.exit_code == 0, result.output
    odd, plain = (np.load(tmp_path / name / "teacher" / "answers" / "000000.npy") for name in ("odd", "plain"))
    powers = np.exp(plain - plain.max(2, keepdims=True))
    np.testing.assert_allclose(np.exp(odd), powers / powers.sum(2, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        ("nowhere.onnx", "no such"),
        ("torn.onnx", "cannot load"),
        (".", "holds no run"),
    ],
)
def test_teachers_that_cannot_teach_are_refused_in_one_line(
    teacher: str, says: str, student: Path, fruit: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.onnx").write_bytes(b"torn")
    result = train(student, fruit, tmp_path / "run", "--teacher", tmp_path / teacher)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()[-1]) < 400


def test_a_bundle_of_other_classes_is_refused(taught: Path, student: Path, fruit: Path, tmp_path: Path) -> None:
    other = tmp_path / "photos"
    other.mkdir()
    for old, new in (("green", "A"), ("red", "B"), ("yellow", "C")):
        (other / new).symlink_to(fruit / old)
    result = train(student, other, tmp_path / "run", "--teacher", taught / "model.mango")
    assert result.exit_code == 2, result.output
    assert "it tells green, red, yellow apart, the data have A, B, C" in result.stderr
