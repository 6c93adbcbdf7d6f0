"""Teachers for tiny runs, and trainings without what follows them."""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file
from torchvision import models

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.files import write_json
from mango_grader.progress import SilentProgress
from mango_grader.training.device import Device
from mango_grader.training.distillation import teacher_logits
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.distillation.teacher import TeacherSource, open_teacher
from mango_grader.workflow.options import TrainOptions
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.folder import RunFolder, open_run
from mango_grader.workflow.start import prepare_run
from mango_grader.workflow.train import NetworkTraining

CPU = Device("cpu")
# Columns are green, red, yellow; applied to the mean colour, standardised by the usual figures.
WEIGHTS = np.array([[-3.0, 3.0, 3.0], [3.0, -3.0, 3.0], [0.0, 0.0, -2.0]], np.float32)


def write_architecture(path: Path) -> Path:
    """Write the architecture of a tiny network with two exits."""
    space = LayerwiseConfig(
        24, 24, 2, depth=2, channels=8, stem_channels=8, kernels=(3,), dilations=(1,), exits=(1, 2), reduce_at=(2,)
    )
    choices = {each.name: each.candidates[:1] if each.min_chosen else () for each in space.decisions()}
    write_json(path, Architecture(space, choices).to_dict())
    return path


def write_onnx(
    path: Path,
    *,
    weights: NDArray[np.float32] = WEIGHTS,
    batch: int | str = "N",
    size: int | str = "side",
    softmax: bool = False,
    flat: bool = False,
) -> Path:
    """Write a classifier (N, 3, H, W) float → (N, K) that looks at the mean colour; `flat` forgets the batch."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ][: 3 if softmax else 2]
    constants = {"axes": np.array([-2, -1], np.int64), "weights": weights}
    graph = helper.make_graph(
        nodes,
        "by colour",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, size, size][flat:])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [batch, None][flat:])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def write_detail_onnx(path: Path, size: int) -> Path:
    """Write a classifier (N, 3, size, size) float → (N, 2) that tells even skin, the first class, from fine texture."""
    nodes = [
        helper.make_node("Neg", ["pixels"], ["dark"]),
        helper.make_node("MaxPool", ["pixels"], ["most"], kernel_shape=[2, 2]),
        helper.make_node("MaxPool", ["dark"], ["less"], kernel_shape=[2, 2]),
        helper.make_node("Add", ["most", "less"], ["contrast"]),
        helper.make_node("ReduceMean", ["contrast", "axes"], ["detail"], keepdims=0),
        helper.make_node("MatMul", ["detail", "weights"], ["steep"]),
        helper.make_node("Add", ["steep", "bias"], ["logits"]),
    ]
    constants = {
        "axes": np.array([-2, -1], np.int64),
        "weights": np.array([[-3.0, 3.0]] * 3, np.float32),
        "bias": np.array([9.0, -9.0], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "by detail",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def publish(name: str, home: Path) -> dict[str, torch.Tensor]:
    """Put made-up weights where torch keeps what it has downloaded; TORCH_HOME must be `home`. Return them."""
    torch.manual_seed(0)
    weights = models.get_model(name, weights=None).state_dict()
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(weights, folder / models.get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1])
    return dict(weights)


def started(out: Path, student: Path, data: Path, *settings: str, **options: str) -> tuple[RunFolder, RunConfig]:
    """Return the folder and configuration of a new training."""
    config = TrainOptions(
        data=str(data), architecture=str(student), device="cpu", settings=("train.batch_size=8", *settings), **options
    ).config()
    return open_run(out, config, resume=out.exists())


def opened(folder: RunFolder, config: RunConfig) -> tuple[RunContext, TeacherSource]:
    """Return the run with its data, and what its teacher is made from."""
    run = RunContext(folder, config, prepare_run(config, folder, SilentProgress()), CPU, SilentProgress())
    source = open_teacher(run)
    assert source is not None
    return run, source


def trained(folder: RunFolder, config: RunConfig) -> list[float]:
    """Train, and return the accuracy of each exit on validation images."""
    run, source = opened(folder, config)
    assert config.network is not None
    NetworkTraining(run, source, config.network).train(config.train.epochs)
    return list(folder.read_history()[-1]["val_accuracy"])


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return what a file of weights holds."""
    return dict(load_file(path))


def accuracy(folder: RunFolder, config: RunConfig) -> float:
    """Return the share of test images that the run's teacher answers correctly."""
    run, source = opened(folder, config)
    return float((teacher_logits(source.make(), run.data.test).argmax(1) == run.data.test.targets).mean())
