"""How well pretrained networks tell the fruit apart without fine-tuning: logistic regression on frozen features.

    make bench-frozen_features      (makes the environment of foreign peers, .peers/venv, first)
    python -m benchmarks.suite.frozen_features --data ../shared/data/mango_lesions

It bounds what a larger teacher could tell, and what more graded images are worth. A measurement is one or more of
EfficientNet-Lite 0 to 2, each at a size, with ImageNet weights: the regression is fitted on a fold's training images,
and again with its validation images; its strength is chosen among those that it learns from. Accuracy is pooled over
the folds, each image tested once; intervals and differences come from a bootstrap over groups.

Time: an hour. Hardware: 2 CPU cores. n: 676 images in 646 groups.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib.measurements import Ledger, Measurement, MeasurementFailedError, as_text, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from benchmarks.lib.peers.catalogue import PYTHON, SCRIPTS
from benchmarks.lib.plots import draw_intervals
from mango_grader import SearchOptions
from mango_grader.progress import SilentProgress
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference
from mango_grader.training.linear_probe import fit_probe
from mango_grader.workflow.run.data import PreparedData, prepare
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class Scale:
    """Which images, and how they are split."""

    data: str
    group_by: str
    folds: int
    seed: int

    def prepared(self, fold: int, size: int, work: Path) -> PreparedData:
        """Return a fold with all images at `size`."""
        split = (fold, self.folds)
        options = SearchOptions(
            data=self.data, group_by=self.group_by, fold=split, split_seed=self.seed, size=(size, size)
        )
        folder = RunFolder(work / f"{size}-pixels" / f"fold-{fold}")
        folder.path.mkdir(parents=True, exist_ok=True)
        return prepare(options.config().data, folder, SilentProgress())


@dataclass(frozen=True)
class Seen:
    """EfficientNet-Lite`number` on images of `size` × `size`."""

    number: int
    size: int

    def __str__(self) -> str:
        return f"lite{self.number} at {self.size}"


FRUIT, OWN = 128, {0: 224, 1: 240, 2: 260}  # pixels: as our networks see the fruit; as the published ones were made
USUAL = str(Seen(0, FRUIT))
LOOKS = {
    **{str(look): (look,) for look in (Seen(0, FRUIT), *(Seen(number, size) for number, size in OWN.items()))},
    f"all at {FRUIT}": tuple(Seen(number, FRUIT) for number in OWN),
    "all at their own": tuple(Seen(number, size) for number, size in OWN.items()),
}
PARTS = ("train", "train and validation")


def features_of(seen: Seen, images: NDArray[np.uint8], python: Path, work: Path) -> NDArray[np.float32]:
    """Return (N, 1280), from the peers' environment; raises MeasurementFailedError with the end of what it printed."""
    work.mkdir(parents=True, exist_ok=True)
    given, out = work / "images.npy", work / "features.npy"
    np.save(given, images)
    command = [str(python), str(SCRIPTS / "frozen_features.py"), str(given), str(out), f"--network={seen.number}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementFailedError(done.stderr[-600:])
    found: NDArray[np.float32] = np.load(out)
    return found


def measure(name: str, scale: Scale, python: Path, work: Path) -> dict[str, Any]:
    """Return which test images are answered correctly ("1"), by what was learned from, and which mistakes are made."""
    torch.set_num_threads(1)
    own = work / name.replace(" ", "-")
    looks = [
        features_of(seen, np.asarray(scale.prepared(1, seen.size, own).packed.images), python, own)
        for seen in LOOKS[name]
    ]
    features = np.concatenate(looks, axis=1)
    correct: dict[str, list[str]] = {part: [] for part in PARTS}
    mistakes: Counter[str] = Counter()
    groups: list[list[str]] = []
    for fold in range(1, scale.folds + 1):
        data = scale.prepared(fold, LOOKS[name][0].size, own)
        classes, labels = data.dataset.classes, data.test.targets
        for part, learned in zip(PARTS, (data.train, data.with_val().train), strict=True):
            given = features[learned.rows], learned.targets, data.groups(learned), len(classes)
            probe = fit_probe(*given, seed=scale.seed)
            answers = probe(torch.from_numpy(features[data.test.rows])).argmax(1).numpy()
            correct[part].append(as_text(answers == labels))
            if part == PARTS[0]:
                wrong = np.flatnonzero(answers != labels)
                mistakes.update(" or ".join(sorted((classes[labels[at]], classes[answers[at]]))) for at in wrong)
        groups.append(data.groups(data.test))
    return {"correct": correct, "groups": groups, "mistakes": dict(mistakes.most_common())}


def summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the accuracy of each, and its gains from validation images and on what our networks' size shows."""
    usual = figures.get(USUAL)
    rows: list[dict[str, Any]] = []
    for name, found in figures.items():
        groups = [group for fold in found["groups"] for group in fold]
        learned, more = (pooled(found["correct"][part]) for part in PARTS)
        counted = np.stack([learned, np.ones_like(learned)], axis=1)
        accuracy = GroupBootstrap(groups, seed=0).estimate(counted, lambda sums: sums[:, 0] / sums[:, 1])
        on_usual = paired_difference(learned, pooled(usual["correct"][PARTS[0]]), groups, seed=0) if usual else None
        rows.append(
            {
                "name": name,
                "n": len(groups),
                "accuracy": asdict(accuracy),
                "with_validation": float(more.mean()),
                "gain_of_validation": asdict(paired_difference(more, learned, groups, seed=0)),
                "gain_on_usual": asdict(on_usual) if on_usual else None,
                "mistakes": found["mistakes"],
            }
        )
    return rows


def pooled(correct: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([letter == "1" for fold in correct for letter in fold])


@click.command()
@fold_options
@click.option("--seed", default=0, show_default=True)
@click.option("--look", "names", multiple=True, type=click.Choice(list(LOOKS)), help="Only these; all unless named.")
@click.option(
    "--python", type=click.Path(path_type=Path), default=PYTHON, help="Interpreter of the peers' environment."
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/frozen_features"), show_default=True)
@measurement_options("frozen_features", minutes=60)
def main(
    names: tuple[str, ...],
    python: Path,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **scale_options: Any,
) -> None:
    """Measure each network, write the JSON, draw and print a table."""
    scale = Scale(**scale_options)
    ledger = Ledger("frozen_features", out, asdict(scale), summary)
    ledger.open(resume)
    measurements = [Measurement(name, partial(measure, name, scale, python, work)) for name in names or LOOKS]
    measure_all(ledger, measurements, minutes, jobs)
    rows = ledger.save()
    label = "test accuracy of a regression on frozen features, %, pooled, with its 95 % interval over groups"
    draw_intervals([row["name"] for row in rows], [row["accuracy"] for row in rows], label, out.with_suffix(".png"))
    for row in rows:
        found, gain = row["accuracy"], row["gain_of_validation"]
        click.echo(
            f"{row['name']:20}{100 * found['value']:5.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f}), "
            f"with validation images {100 * row['with_validation']:.1f} %: {100 * gain['value']:+.1f} points "
            f"({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}), p = {gain['p']:.3f}"
        )


if __name__ == "__main__":
    main()
