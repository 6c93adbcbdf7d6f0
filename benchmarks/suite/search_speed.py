"""What a whole single-path search costs, in trainings of the network that it finds.

    python -m benchmarks.suite.search_speed --minutes 90 --jobs 2

A measurement is one run as `mango-grader search` does it, without a budget: the preset's whole search (weight and
architecture steps, scores, refits, checkpoints), then the preset's whole training of the result, one after the other in
one process. Ratio: seconds of the one by seconds of the other; the goal is 2 at most. Printed beside it: what the
papers say that their searches cost. `--share` runs that share of both and extrapolates, for a first look.

Time: 90 minutes. Hardware: 2 otherwise idle CPU cores. n: 3 seeds a pair.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from benchmarks.lib.plots import save_plot
from mango_grader import SearchOptions, search
from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.files import read_json
from mango_grader.models import NetworkSpec
from mango_grader.progress import SilentProgress, Task
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.options import NONE
from mango_grader.workflow.search_config import MethodConfig

GOAL = 2.0
PAIRS = (
    *("random:dag", "enas:layerwise", "spos:shufflenet", "tnas-os:shufflenet"),
    *("betanas:mbconv", "tnas-g:nasnet"),
)  # the default, which is the control too, and each single-path method on its paper's space
PUBLISHED = (
    ("MNet-24-32", 0.82, "P100", "MNet, Table 2: fruit, 24×32 pixels"),
    ("MNet-120-160", 14.25, "P100", "MNet, Table 2: fruit, 120×160 pixels"),
    ("AutoKeras-24-32", 10.0, "P100", "MNet, Table 2: fruit, 24×32 pixels"),
    ("AutoKeras-120-160", 294.0, "P100", "MNet, Table 2: fruit, 120×160 pixels"),
    ("BetaNet-A, -B", 160.0, "V100", "BetaNAS, §4.1 and Tables 1–2: ImageNet"),
    ("ProxylessNAS", 200.0, "unstated", "BetaNAS, Table 2: ImageNet"),
    ("DSO-NAS, CIFAR-10", 24.0, "unstated", "DSO-NAS, Table 1: one GPU day"),
    ("DSO-NAS, ImageNet", 144.0, "unstated", "DSO-NAS, Table 2: 6 GPU days"),
    ("ENAS, CIFAR-10", 12.0, "unstated", "DSO-NAS, Table 1: half a GPU day"),
    ("DARTS, CIFAR-10", 96.0, "unstated", "DSO-NAS, Table 1: 4 GPU days; MS-RANAS only says that it takes less"),
)  # GPU hours; TNAS states none


def _now() -> np.ndarray:
    return np.array([time.monotonic(), time.process_time()])


@dataclass
class Stopwatch(SilentProgress):
    """Notes when the tasks of a run begin and end: seconds on the wall, and of this process's own work.

    planned: when the plan was told, after which the super net is built.
    """

    began: dict[str, np.ndarray] = field(default_factory=dict)
    ended: dict[str, np.ndarray] = field(default_factory=dict)
    planned: np.ndarray = field(default_factory=_now)

    def note(self, message: str, **figures: Any) -> None:
        if message.startswith("plan:") and "search" not in self.began:
            self.planned = _now()

    @contextmanager
    def task(self, name: str, total: int, done: int = 0) -> Iterator[Task]:
        self.began[name] = _now()
        with super().task(name, total, done) as task:
            yield task
        self.ended[name] = _now()


def measure(options: SearchOptions, share: float) -> dict[str, Any]:
    """Return the seconds of each part of a run of which `share` is done, extrapolated; and what was found."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as kept:
        run = search(Path(kept) / "run", shortened(options.config(), share), progress=watch)
        network = NetworkSpec.from_dict(read_json(run.network))
        epochs = read_json(run.plan)["epochs"]
    parts = {
        "rounds": watch.ended["search"] - watch.planned,
        "picking": watch.began["train"] - watch.ended["search"],
        "training": watch.ended["train"] - watch.began["train"],
    }
    return {
        "seconds": {name: float(spent[0]) / share for name, spent in parts.items()},
        "cpu_seconds": {name: float(spent[1]) / share for name, spent in parts.items()},
        "epochs_trained": epochs,
        "params": network.params()[-1],
        "macs": network.macs()[-1],
    }


def shortened(config: RunConfig, share: float) -> RunConfig:
    """Return the run with that share of its search and of its training; a share of 1 changes nothing."""
    if share == 1.0 or config.search is None:
        return config
    method = config.search.method
    part = replace(config.search, method=MethodConfig(method.name, method.settings.scaled(share)))
    epochs = max(1, round(config.train.epochs * share))
    return replace(config, search=part, train=config.train.lasting(epochs))


def summarise(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each pair."""
    by_pair: dict[str, list[Any]] = {}
    for name, each in figures.items():
        by_pair.setdefault(name.rsplit("/", 1)[0], []).append(each)
    return [row(pair, runs) for pair, runs in by_pair.items()]


def row(pair: str, runs: Sequence[Any]) -> dict[str, Any]:
    """Return one pair's mean ± sd over its seeds."""
    parts = {name: [run["seconds"][name] for run in runs] for name in runs[0]["seconds"]}
    ratios, by_cpu = ([ratio(run[clock]) for run in runs] for clock in ("seconds", "cpu_seconds"))
    return {
        "pair": pair,
        "n": len(runs),
        "ratio": mean_sd(ratios),
        "ratio_of_cpu_seconds": mean_sd(by_cpu),
        "seconds": {name: mean_sd(values) for name, values in parts.items()},
        "goal_met": max(ratios) <= GOAL,
    }


def ratio(seconds: Mapping[str, float]) -> float:
    return (seconds["rounds"] + seconds["picking"]) / seconds["training"]


def mean_sd(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def show(rows: Sequence[Any]) -> None:
    click.echo(f"{'search':26}{'n':>3}{'rounds':>10}{'picking':>10}{'training':>10}{'ratio':>16}")
    for each in rows:
        spent = "".join(f"{each['seconds'][name]['mean']:8.1f} s" for name in ("rounds", "picking", "training"))
        found = each["ratio"]
        click.echo(f"{each['pair']:26}{each['n']:3}{spent}{found['mean']:9.2f} ± {found['sd'] or 0:.2f}")
    for name, hours, gpu, source in PUBLISHED:
        click.echo(f"{name:26}{hours:7.2f} GPU hours ({gpu}; {source})")


def draw(rows: Sequence[Any], path: Path, scale: str) -> None:
    """Draw every pair's search as a bar, in trainings of its result."""
    figure, axes = plt.subplots(figsize=(7, 1.6 + 0.45 * len(rows)), layout="constrained")
    names = [f"{each['pair']}, n = {each['n']}" for each in rows]
    left = np.zeros(len(rows))
    for part, label in (("rounds", "rounds: weights, architecture, scores"), ("picking", "picking the result")):
        wide = np.array([each["seconds"][part]["mean"] / each["seconds"]["training"]["mean"] for each in rows])
        axes.barh(names, wide, left=left, label=label)
        left += wide
    axes.errorbar(left, names, xerr=[each["ratio"]["sd"] or 0 for each in rows], fmt="none", color="black", capsize=3)
    axes.axvline(GOAL, color="grey", linestyle="--", label="goal")
    axes.set(xlabel=f"seconds of search by seconds of training the result\n{scale}")
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    save_plot(figure, path, dpi=120)
    plt.close(figure)


def in_pairs(context: click.Context, option: click.Parameter, names: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for name in names:
        method, _, space = name.partition(":")
        if method not in METHODS or space not in SPACES:
            raise click.BadParameter(f"{name}: write METHOD:SPACE, such as enas:layerwise")
        pairs.append((method, space))
    return pairs


@click.command()
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:group", show_default=True, help='"" for none.')
@click.option("--preset", default="quick", show_default=True)
@click.option("--size", type=click.IntRange(8), default=128, show_default=True, help="Pixels of either side.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--pair", "pairs", multiple=True, default=PAIRS, callback=in_pairs, help="METHOD:SPACE, several times.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True)
@measurement_options("search_speed", minutes=90)
def main(
    data: str,
    group_by: str,
    preset: str,
    size: int,
    device: str,
    pairs: list[tuple[str, str]],
    seeds: int,
    share: float,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    asked: dict[str, Any] = {"data": data, "group_by": group_by or None, "size": (size, size)}
    asked |= {"preset": preset, "device": device, "teacher": NONE}
    ledger = Ledger("search_speed", out, {**asked, "share": share}, summarise)
    ledger.open(resume)
    measurements = [
        Measurement(
            f"{method}/{space}/{seed}",
            partial(measure, SearchOptions(**asked, method=method, space=space, seed=seed), share),
        )
        for seed in range(seeds)
        for method, space in pairs
    ]
    measure_all(ledger, measurements, minutes, jobs)
    rows = ledger.save()
    show(rows)
    draw(rows, out.with_suffix(".png"), f"preset {preset}, {size}×{size} pixels, {Path(data).name}, {device}")


if __name__ == "__main__":
    main()
