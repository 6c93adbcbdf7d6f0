"""Networks on the test images of a fold: answers and CPU time of every exit and policy, one image and one thread.

A run is a folder of mango-grader's own: a searched network, or a baseline of others that it trained on the same fold.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lib.measurements import MeasurementFailedError, as_text
from benchmarks.lib.peers.runs import prepared
from mango_grader import search, train
from mango_grader.files import read_json
from mango_grader.runtime import Bundle
from mango_grader.runtime.decisions import stopped
from mango_grader.runtime.exits import parse_exit_policy
from mango_grader.runtime.inference.model_context import policy_context
from mango_grader.runtime.inference.sessions import FullModel, StagedModel, make_session, run_session
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.folder import RunFolder

_WARM_UP = 5  # images
USUAL = "every exit computed"
"""Early exit as published code has it: the whole network runs, and what an exit would have saved is only counted."""


@dataclass(frozen=True)
class TestPart:
    """The test images of a finished run.

    Attributes:
        images: (N, H, W, 3) uint8, as its network takes them.
        labels: (N,), indices of their classes.
        groups: of each path.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> "TestPart":
        """Read the images that a run was tested on."""
        run = RunFolder(folder)
        root = Path(read_json(run.config)["data"]["path"])
        root = root if root.is_dir() else root.parent
        manifest = Bundle.open(run.model).manifest
        rows = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
        images = np.stack([manifest.preprocess(root / row["path"]) for row in rows])
        labels = np.array([manifest.classes.index(row["label"]) for row in rows])
        return cls(images, labels, {row["path"]: str(row["group"]) for row in rows})


def ensure_run(folder: Path, config: RunConfig) -> dict[str, Any]:
    """Search or train in a folder unless its model is there; return where it came from."""
    run = RunFolder(folder)
    found = run.model.exists()
    if not found:
        (search if config.search else train)(folder, config, resume=run.config.exists())
    return {"found": found}


def measure_network(folder: Path, rounds: int) -> dict[str, Any]:
    """Return what every exit and policy of a run's model answers, and the CPU milliseconds that it takes.

    Each image goes through all of them in turn, `rounds` times; an image's time is the median.
    """
    bundle, part = Bundle.open(RunFolder(folder).model), TestPart.of(folder)
    model, full, context = StagedModel.load(bundle, "cpu"), FullModel(bundle, "cpu"), policy_context(bundle)
    manifest, labels = bundle.manifest, part.labels
    session, exits = make_session(bundle.graph(manifest.full), "cpu"), range(1, len(manifest.exits) + 1)
    names = dict.fromkeys(["full", *(f"exit:{k}" for k in exits), *manifest.policies, manifest.default_policy])
    policies = {name: parse_exit_policy(name, context) for name in names}
    ways: dict[str, Callable[[NDArray[np.uint8]], Any]] = {
        "full.onnx": lambda image: run_session(session, {"images": image}),
        USUAL: full.every_exit,
        **{name: partial(model.run, policy=policy) for name, policy in policies.items()},
    }
    times = time_in_turn(ways, part.images, rounds)
    found, macs = {}, np.array([info.macs for info in manifest.exits])
    for name, policy in policies.items():
        answers = [model.run(part.images[row : row + 1], policy) for row in range(len(labels))]
        chosen = np.array([stopped(each.history, each.exits)[0].argmax() for each in answers])
        stops = np.concatenate([each.exits for each in answers])
        found[name] = {
            "ms": times[name],
            "correct": as_text(chosen == labels),
            "macs": float(macs[stops - 1].mean()),
            "policy": str(policy),
        }
    return {
        "images": dict(part.groups),
        "default": manifest.default_policy,
        "macs": macs.tolist(),
        "graph_ms": times["full.onnx"],
        "usual_ms": times[USUAL],
        "rounds": rounds,
        "policies": found,
    }


def time_in_turn(
    ways: Mapping[str, Callable[[NDArray[np.uint8]], Any]], images: NDArray[np.uint8], rounds: int
) -> dict[str, float]:
    """Return the CPU milliseconds of an image on each way, the mean over images of the median over rounds."""
    spent = {name: np.zeros((rounds, len(images))) for name in ways}
    for way in ways.values():
        for row in range(min(_WARM_UP, len(images))):
            way(images[row : row + 1])
    for turn in range(rounds):
        for row in range(len(images)):
            image = images[row : row + 1]
            for name, way in ways.items():
                start = time.thread_time()
                way(image)
                spent[name][turn, row] = (time.thread_time() - start) * 1e3
    return {name: float(np.median(values, axis=0).mean()) for name, values in spent.items()}


def measure_foreign_graph(folder: Path, run: Path, rounds: int) -> dict[str, Any]:
    """Return answers and CPU milliseconds of the graph that a peer's script left, on the test images of a run."""
    part, found = TestPart.of(run), read_json(folder / "figures.json")
    session = make_session((folder / "model.onnx").read_bytes(), "cpu")
    name = session.get_inputs()[0].name

    def answer(image: NDArray[np.uint8]) -> Any:
        return run_session(session, {name: prepared(image, found)})

    def graph(image: NDArray[np.uint8]) -> Any:
        return run_session(session, {name: inputs[image.ctypes.data]})

    # A camera's bytes are prepared in the graphs of others; here that is left out of the time.
    images = part.images
    inputs = {images[row : row + 1].ctypes.data: prepared(images[row : row + 1], found) for row in range(len(images))}
    ms = time_in_turn({"graph": graph}, images, rounds)["graph"]
    answers = np.array([answer(images[row : row + 1])[0].ravel().argmax() for row in range(len(images))])
    return {
        "images": dict(part.groups),
        "macs": found["macs"],
        "policies": {"full": {"ms": ms, "correct": as_text(answers == part.labels), "macs": found["macs"]}},
        "rounds": rounds,
    }


def yolo_command(python: Path, folder: Path, run: Path) -> dict[str, Any]:
    """Return what `yolo classify predict` takes for the test images of a run, beside `mango-grader grade`.

    Both read the same files, one thread each. Milliseconds are those that each tells of itself for an image, decoding
    and fitting included; seconds are those of the whole command.

    Raises:
        MeasurementFailedError: with what a command printed, if it fails.
    """
    config, model = read_json(RunFolder(run).config), str(RunFolder(run).model)
    rows = [json.loads(line) for line in RunFolder(run).predictions.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place, "photos")
        photos.mkdir()
        for number, row in enumerate(rows):
            source = Path(config["data"]["path"], row["path"])
            (photos / f"{number:05}{source.suffix}").write_bytes(source.read_bytes())
        best = folder / "ultralytics" / "weights" / "best.pt"
        size = config["data"]["height"]
        yolo = [str(python.parent / "yolo"), "classify", "predict", f"model={best}", f"source={photos}"]
        yolo += [f"imgsz={size}", "device=cpu", "save=False", "verbose=True", f"project={place}"]
        out = Path(place, "rows.jsonl")
        ours = [sys.executable, "-m", "mango_grader", "grade", str(photos), "--model", model, "--out", str(out)]
        yolo_s, printed = _run(yolo)
        ours_s, _ = _run([*ours, "--workers", "1", "--progress", "none"])
        graded = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    decode, infer = (float(np.mean([row[name] for row in graded])) for name in ("decode_ms", "infer_ms"))
    return {
        "photos": len(rows),
        "yolo": {"command_s": yolo_s, "ms": yolo_ms(printed)},
        "ours": {"command_s": ours_s, "ms": decode + infer},
    }


def yolo_ms(printed: str) -> float:
    """Return the milliseconds of an image that `yolo classify predict` prints at its end, all parts together.

    Raises:
        MeasurementFailedError: with what it printed, if that holds none.
    """
    speeds = re.findall(r"([\d.]+)ms", printed.rpartition("Speed:")[2])
    if not speeds or "Speed:" not in printed:
        raise MeasurementFailedError(f"yolo printed no speed: {printed[-400:]}")
    return sum(map(float, speeds))


def _run(command: list[str]) -> tuple[float, str]:
    """Return the seconds of a command on one thread, and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise MeasurementFailedError(f"{command[0]} exits {done.returncode}: {(done.stdout + done.stderr)[-400:]}")
    return seconds, done.stdout + done.stderr
