"""The measurements of peers.py: one peer on one fold, by our own workflow or by a script in the peers' environment.

Every network sees the same images, is measured on test images that its training never saw, and is timed as the ONNX
graph that it exports to when nothing runs beside it: one image, one onnxruntime thread. Our graphs take bytes, the
others prepared floats.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib.measurements import MeasurementFailedError, as_text
from mango_grader import search, train
from mango_grader.automl.latency import Chain
from mango_grader.export.onnx_graphs import IMAGES
from mango_grader.files import read_json
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Bundle
from mango_grader.runtime.inference.sessions import make_session, run_session
from mango_grader.training.batches import Examples
from mango_grader.workflow.config import DataConfig, RunConfig
from mango_grader.workflow.run.data import prepare
from mango_grader.workflow.run.folder import RunFolder

WARM_UP, TIMED = 20, 300  # runs of one image
_LOG_CHARACTERS = 600
_GRAPH = "model.onnx"


@dataclass(frozen=True)
class Pack:
    """One fold as files: `train.npz` is all that a foreign script sees, `test.npz` stays here."""

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "train.npz"

    def test(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the test images (N, H, W, 3) and their labels (N,)."""
        with np.load(self.folder / "test.npz") as data:
            return data["images"], data["labels"]

    def groups(self) -> list[str]:
        """Return the group of each test image."""
        with np.load(self.folder / "test.npz") as data:
            return [str(group) for group in data["groups"]]

    def paths(self) -> list[str]:
        """Return the path of each test image, relative to the data."""
        with np.load(self.folder / "test.npz") as data:
            return [str(path) for path in data["paths"]]


def pack_fold(config: DataConfig, folder: Path) -> Pack:
    """Read, split and preprocess a fold anew, as our own runs do it, and write it into `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = prepare(config, RunFolder(folder), SilentProgress())

    def pixels(part: Examples) -> NDArray[np.uint8]:
        return np.stack([np.asarray(data.packed.images[row]) for row in part.rows])

    pack = Pack(folder)
    np.savez(
        pack.train,
        train_images=pixels(data.train),
        train_labels=data.train.targets,
        val_images=pixels(data.val),
        val_labels=data.val.targets,
        classes=len(data.dataset.classes),
    )
    np.savez(
        folder / "test.npz",
        images=pixels(data.test),
        labels=data.test.targets,
        paths=np.array(data.paths(data.test)),
        groups=np.array(data.groups(data.test)),
    )
    return pack


@dataclass(frozen=True)
class Figures:
    """What a measurement holds; lists have one entry for each exit.

    Attributes:
        correct: "1" for each test image that is answered correctly, else "0".
        params: parameters up to the exit.
        macs: multiply-accumulates of one image up to the exit.
        train_s: wall-clock seconds on one thread, from decoded images to weights; a search included.
        about: plan or settings and versions.
    """

    correct: list[str]
    params: list[int]
    macs: list[int]
    train_s: float
    about: dict[str, Any]


def measure_own(pack: Pack, folder: Path, config: RunConfig) -> dict[str, Any]:
    """Search or train with our own workflow, on one thread."""
    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)  # a killed run would not be timed whole
    done = (search if config.search else train)(folder, config)
    # From the decoded images, which foreign scripts are given, to the weights: calibration and export come after.
    train_s = done.weights.stat().st_mtime - done.split.stat().st_mtime
    metrics = read_json(done.metrics)
    rows = [json.loads(line) for line in done.predictions.read_text().splitlines()]
    assert [row["path"] for row in rows] == pack.paths(), "every peer must be tested on the same images"
    answers = np.array([row["probabilities"] for row in rows]).argmax(2)
    labels = np.array([metrics["classes"].index(row["label"]) for row in rows])
    exits = metrics["test"]["exits"]
    figures = Figures(
        [as_text(answers[:, place] == labels) for place in range(len(exits))],
        [each["params"] for each in exits],
        [each["macs"] for each in exits],
        train_s,
        {"plan": read_json(done.plan)},
    )
    return asdict(figures)


def measure_foreign(pack: Pack, folder: Path, command: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """Run a peer's script (interpreter and file) in its own environment, then measure the ONNX file that it leaves.

    Raises MeasurementFailedError with the end of what a script that fails printed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = [*command, str(pack.train), str(folder), *options]
    with (folder / "log.txt").open("w") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        code = subprocess.run(whole, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False).returncode
    if code:
        raise MeasurementFailedError((folder / "log.txt").read_text()[-_LOG_CHARACTERS:])
    found = read_json(folder / "figures.json")
    session = make_session((folder / _GRAPH).read_bytes(), "cpu")
    images, labels = pack.test()
    answers = [run_session(session, feed(session, images[row : row + 1], found))[0] for row in range(len(images))]
    figures = Figures(
        [as_text(np.array([answer.ravel().argmax() for answer in answers]) == labels)],
        [found["params"]],
        [found["macs"]],
        found["seconds"],
        {"settings": found["settings"], "versions": found["versions"]},
    )
    return asdict(figures)


def time_own(pack: Pack, folder: Path) -> list[float]:
    """Return the latency up to each exit of a finished run, as chained stages."""
    bundle = Bundle.open(RunFolder(folder).model)
    stages = [bundle.read(name) for name in bundle.manifest.stages["fp32"]]
    return latency(stages, {IMAGES: pack.test()[0][:1]})


def time_foreign(pack: Pack, folder: Path) -> list[float]:
    """Return the latency of the graph that a script left."""
    graph, found = (folder / _GRAPH).read_bytes(), read_json(folder / "figures.json")
    return latency([graph], feed(make_session(graph, "cpu"), pack.test()[0][:1], found))


def feed(session: Any, images: NDArray[np.uint8], found: dict[str, Any]) -> dict[str, Any]:
    """Return images under the name of the graph's input."""
    return {session.get_inputs()[0].name: prepared(images, found)}


def prepared(images: NDArray[np.uint8], found: dict[str, Any]) -> NDArray[np.float32]:
    """Return (N, H, W, 3) images as the peer's figures say that its graph takes them."""
    scaled = (images / 255 - np.array(found["mean"])) / np.array(found["std"])
    return np.ascontiguousarray(np.moveaxis(scaled, 3, 1) if found["layout"] == "NCHW" else scaled, np.float32)


def latency(graphs: Sequence[bytes], image: dict[str, Any]) -> list[float]:
    """Return the median milliseconds of one image up to and including each graph of a chain, the thread's own time."""
    chain = Chain(graphs, image)
    runs = [chain.run() for _ in range(WARM_UP + TIMED)][WARM_UP:]
    return [float(value) for value in np.median(runs, axis=0)]
