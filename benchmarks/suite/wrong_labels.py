"""How many labels that were flipped on purpose `data suspects` shows first.

    make bench-wrong_labels
    python -m benchmarks.suite.wrong_labels --data ../shared/data/mango_lesions

A measurement is one choice of classes: all; the commonest against the others; and unequal ones, the second largest
with half as many images as the largest, the third with a quarter, and so on. In each repeat 5 % of the labels are
flipped to another class, drawn at random, the cross-validation of `data suspects` ranks all labels, and the flipped
ones in the first tenth are counted. What the folder itself labels wrongly counts as correct, so that on real images
the share is a lower bound.

Time: 10 minutes. Hardware: 2 CPU cores. n: 676 images, 10 repeats.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.datasets import pack, read_dataset
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Preprocess
from mango_grader.training.confident_learning import label_order
from mango_grader.training.device import pick_device
from mango_grader.training.frozen_features import frozen_features
from mango_grader.workflow.suspects.answers import cross_validate

SEED = 17  # the methods of ranking were chosen on other flips
SIDE, FLIPPED, SHOWN = 128, 0.05, 0.1
CHOICES = ("all classes", "one class or not", "unequal classes")


@dataclass(frozen=True)
class Scale:
    """Which images, and how often labels are flipped."""

    data: str
    group_by: str
    repeats: int


def chosen(choice: str, labels: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return which images are taken, and their classes."""
    if choice == "one class or not":
        return np.arange(len(labels)), (labels == np.bincount(labels).argmax()).astype(np.int64)
    if choice == "all classes":
        return np.arange(len(labels)), labels
    largest, *others = np.argsort(-np.bincount(labels))
    most = int((labels == largest).sum())
    kept = [np.flatnonzero(labels == label)[: most >> place] for place, label in enumerate((largest, *others))]
    rows = np.concatenate(kept)
    return rows, labels[rows]


def measure(choice: str, scale: Scale, work: Path) -> dict[str, Any]:
    """Return how many flipped labels there were in each repeat, and how many of them were in the first tenth."""
    torch.set_num_threads(1)
    packed = pack(read_dataset(scale.data, scale.group_by), Preprocess(SIDE, SIDE), work / choice.replace(" ", "-"))
    rows, labels = chosen(choice, packed.labels)
    features = frozen_features(packed.images[rows], pick_device("cpu"), SilentProgress())
    groups, classes = [packed.groups[row] for row in rows], int(labels.max()) + 1
    hits = []
    for repeat in range(scale.repeats):
        rng = np.random.default_rng((SEED, repeat))
        flipped = rng.choice(len(labels), round(FLIPPED * len(labels)), replace=False)
        given = labels.copy()
        given[flipped] = (given[flipped] + rng.integers(1, classes, len(flipped))) % classes
        order = label_order(cross_validate(features, given, groups, classes, repeat), given)
        hits.append(int(np.isin(order[: round(SHOWN * len(labels))], flipped).sum()))
    return {"counts": np.bincount(labels).tolist(), "flipped": round(FLIPPED * len(labels)), "hits": hits}


def summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the share of flipped labels in the first tenth, and its standard deviation over repeats."""
    rows = []
    for choice, found in figures.items():
        shares = np.array(found["hits"]) / found["flipped"]
        deviation = float(shares.std(ddof=1)) if len(shares) > 1 else None
        rows.append({"classes": choice, "counts": found["counts"], "share": float(shares.mean()), "sd": deviation})
    return rows


@click.command()
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:fruit", show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=10, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/wrong_labels"), show_default=True)
@measurement_options("wrong_labels", minutes=20)
def main(work: Path, minutes: float, jobs: int, resume: bool, out: Path, **scale_options: Any) -> None:
    """Measure each choice of classes, write the JSON and print a table."""
    scale = Scale(**scale_options)
    ledger = Ledger("wrong_labels", out, asdict(scale), summary)
    ledger.open(resume)
    measure_all(ledger, [Measurement(each, partial(measure, each, scale, work)) for each in CHOICES], minutes, jobs)
    for row in ledger.save():
        spread = "" if row["sd"] is None else f" ± {100 * row['sd']:.1f}"
        click.echo(f"{row['classes']:20}{row['counts']}: {100 * row['share']:.1f}{spread} % in the first tenth")


if __name__ == "__main__":
    main()
