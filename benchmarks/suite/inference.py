"""How fast a model answers, from the start of a command to the graded photo, beside decoding and other networks.

    make bench-inference
    python -m benchmarks.suite.inference --runs runs/inference

Every figure is a ratio of two things measured in turn in one process, or a time with its limit; the CSV has a row for
each claim. --runs holds a run folder for each network and fold, NAME/fold-K, with "ours" for the searched network; what
is missing is searched or trained first, which takes hours, or left out with --no-train. YOLO11n-cls is trained and
timed in the environment of `make bench-peers`, and left out without it. Times of networks are CPU time of one thread,
one image at a time; our exits and policies are compared with the last exit of others on the same test images, on which
the fastest that is as accurate is also chosen.

Time: 12 minutes, once all runs are there. Hardware: 2 otherwise idle CPU cores. n: 1,000 photos of 1.3 and 200 of 12
megapixels, 50,000 small ones, 1,000 frames, 676 test images in 5 folds.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.lib.inference.grading import answer_times, peak_memory, throughput
from benchmarks.lib.inference.networks import ensure_run, measure_foreign_graph, measure_network, yolo_command
from benchmarks.lib.inference.photos import Photos
from benchmarks.lib.inference.startup import help_seconds, load_seconds
from benchmarks.lib.inference.summary import OURS, YOLO, summarise
from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from benchmarks.lib.peers.catalogue import PYTHON, Foreign, Scale, peers_of
from benchmarks.lib.peers.runs import pack_fold
from mango_grader.workflow.run.folder import RunFolder

_A_DAY = 86_400.0  # seconds: no limit
_RIVALS = "shufflenet_v2_x0_5,mobilenet_v3_small,msdnet"


@dataclass(frozen=True)
class PhotoScale:
    """How many photos are graded, and `rounds` times; sides are divided by `shrink`, for trials."""

    photos: int
    large: int
    small: int
    rounds: int
    shrink: int

    def measurements(self, model: str, work: Path) -> list[Measurement]:
        """Return what is measured on photos, which are kept in `work`."""

        def drawn(name: str, count: int, width: int, height: int, different: int = 20) -> Photos:
            return Photos(work / name, count, width // self.shrink, height // self.shrink, different)

        medium, large = drawn("1.3", self.photos, 1344, 1008), drawn("12", self.large, 4000, 3000, different=8)
        few, many = (drawn(f"small-{count}", count, 320, 240) for count in (max(1, self.small // 50), self.small))
        return [
            Measurement("photos/1.3 MP", partial(throughput, model, medium, self.rounds)),
            Measurement("photos/12 MP", partial(throughput, model, large, self.rounds)),
            Measurement("memory", partial(peak_memory, model, few, many)),
            Measurement("stream", partial(answer_times, model, medium, self.photos)),
        ]


@click.command()
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:fruit", show_default=True)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--until", type=click.IntRange(1), default=5, show_default=True, help="Measure folds 1 to this one only.")
@click.option("--rivals", default=_RIVALS, show_default=True, help="Baselines, by commas.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/inference"), show_default=True)
@click.option(
    "--train/--no-train", default=True, show_default=True, help="Whether to search and train what is missing."
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/inference-photos"), show_default=True)
@click.option("--python", type=click.Path(path_type=Path), default=PYTHON, help="Interpreter of YOLO11n-cls.")
@click.option("--photos", default=1000, show_default=True, help="Photos of 1.3 megapixels, and frames of a camera.")
@click.option("--large", default=200, show_default=True, help="Photos of 12 megapixels.")
@click.option("--small", default=50_000, show_default=True, help="Small photos, for memory; beside a fiftieth of them.")
@click.option("--rounds", default=3, show_default=True, help="Of photos, and a third of those of networks.")
@click.option("--shrink", type=click.IntRange(1), default=1, show_default=True, help="Divide the sides of photos.")
@click.option("--size", default=128, show_default=True, help="Pixels of either side of networks to train.")
@click.option("--epochs", type=int, help="Of networks to train; the preset's unless given.")
@click.option("--set", "settings", multiple=True, help="Settings of the search.")
@click.option("--max-params", default=350_000, show_default=True, help="Of the search.")
@click.option("--seed", default=0, show_default=True)
@measurement_options("inference", minutes=60, jobs=1)
def main(
    until: int,
    rivals: str,
    runs: Path,
    train: bool,
    work: Path,
    python: Path,
    photos: int,
    large: int,
    small: int,
    rounds: int,
    shrink: int,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **scale_options: Any,
) -> None:
    """Measure all claims about speed, write JSON and CSV, and print the claims."""
    scale = Scale(budget=_A_DAY, **scale_options)
    names, numbers = [name for name in rivals.split(",") if name], range(1, min(until, scale.folds) + 1)
    counts = PhotoScale(photos, large, small, rounds, shrink)
    ledger = Ledger("inference", out, {**scale_options, **asdict(counts)}, summarise)
    ledger.open(resume)

    def folder(name: str, fold: int) -> Path:
        return runs / name / f"fold-{fold}"

    wanted = [(name, fold) for name in (OURS, *names) for fold in numbers]
    configs = {
        (name, fold): replace(scale.searched(fold), budget=None).config()
        if name == OURS
        else scale.trained(name, fold).config()
        for name, fold in wanted
        if train and not RunFolder(folder(name, fold)).model.exists()
    }
    measure_all(
        ledger,
        [
            Measurement(f"run/{name}/fold-{fold}", partial(ensure_run, folder(name, fold), config))
            for (name, fold), config in configs.items()
        ],
        minutes,
        jobs,
    )
    first = folder(OURS, 1)
    model = str(RunFolder(first).model)
    measurements = [
        Measurement("start/help", partial(help_seconds, rounds)),
        Measurement("start/load", partial(load_seconds, model, max(3, rounds))),
        *counts.measurements(model, work),
        *(
            Measurement(f"network/{name}/fold-{fold}", partial(measure_network, folder(name, fold), 3 * rounds))
            for name, fold in wanted
            if RunFolder(folder(name, fold)).model.exists()
        ),
    ]
    yolo = peers_of(python)[YOLO]
    if isinstance(yolo, Foreign) and yolo.installed():
        place = folder(YOLO, 1)
        if train and not (place / "model.onnx").exists():
            pack = pack_fold(scale.searched(1).config().data, work / "fold-1")
            measure_all(ledger, [Measurement(f"run/{YOLO}/fold-1", yolo.learn(scale, 1, pack, place))], minutes, jobs)
        if (place / "model.onnx").exists():
            measurements += [
                Measurement(f"network/{YOLO}/fold-1", partial(measure_foreign_graph, place, first, 3 * rounds)),
                Measurement(f"command/{YOLO}", partial(yolo_command, python, place, first)),
            ]
    else:
        click.echo(f"{YOLO} is not installed: `make bench-peers` makes its environment")
    measure_all(ledger, measurements, minutes, jobs)
    for row in ledger.save():
        verdict = "" if row["met"] is None else "met" if row["met"] else "MISSED"
        click.echo(f"{row['value']:9.3f}  {row['goal'] or '':9}  {verdict:6}  {row['what']}")


if __name__ == "__main__":
    main()
