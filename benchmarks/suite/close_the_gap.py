"""How near a network of 13 M multiply-adds comes to a pretrained one ten times its cost: one idea at a time.

    python -m benchmarks.suite.close_the_gap --data ../shared/data/mango_lesions --minutes 120

Every idea changes one thing of the plain recipe: EfficientNet-Lite0's first eight blocks, started from ImageNet
weights, on images of 128×128 pixels that the network halves first. A measurement is one idea on one fold; folds and
images are the same for all, and differences to the plain recipe are paired. Ideas are chosen by what they gain on
validation images; one that loses more than 5 points there on the first fold is measured on no other, unless named.
--teachers DIR holds fold-K/model.onnx, as peers.py leaves them, each fine-tuned without that fold's validation and test
images.

Time: 1 to 6 minutes a measurement, 33 ideas on up to 5 folds. Hardware: 2 CPU cores. n: 676 images, each tested once.
"""

import time
from functools import partial
from pathlib import Path

import click

from benchmarks.lib.compared import measure
from benchmarks.lib.gap.gains import draw, gains, is_hopeless, show
from benchmarks.lib.gap.ideas import IDEAS, Beside, Named, on_other_fruit
from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from mango_grader.datasets import read_dataset
from mango_grader.workflow.comparison.outcomes import ComparedRun


def teacher_of(fold: int, teachers: Path | None) -> str | None:
    """Return the path of the fold's teacher, if it is there."""
    path = teachers / f"fold-{fold}" / "model.onnx" if teachers else None
    return str(path) if path and path.exists() else None


@click.command()
@fold_options
@click.option("--until", type=click.IntRange(1), help="Only the folds up to this one.")
@click.option("--idea", "names", multiple=True, type=click.Choice(list(IDEAS)), help="Only these; all unless named.")
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True)
@click.option("--lr", type=float, default=1e-3, show_default=True)
@click.option("--teachers", type=click.Path(path_type=Path), help="Folder with fold-K/model.onnx; ideas need it.")
@click.option("--unlabelled", type=click.Path(path_type=Path), help="Folder of other fruit; ideas need it.")
@click.option("--other-fruit", help="Other graded fruit to learn from first; an idea needs it.")
@click.option("--other-group-by", help="What keeps its images together.")
@click.option("--other-epochs", type=click.IntRange(1), default=8, show_default=True, help="How often it is seen.")
@click.option("--work", default="runs/close_the_gap", show_default=True, help="Where the runs are kept.")
@measurement_options("close_the_gap", minutes=120)
def main(
    data: str,
    group_by: str,
    folds: int,
    until: int | None,
    names: tuple[str, ...],
    epochs: int,
    lr: float,
    teachers: Path | None,
    unlabelled: Path | None,
    other_fruit: str | None,
    other_group_by: str | None,
    other_epochs: int,
    work: str,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    """Measure every idea fold by fold, write the JSON, print a table and draw it."""
    setup = {"data": data, "group_by": group_by, "folds": folds, "epochs": epochs, "lr": lr, "seed": 0}
    ledger = Ledger("close_the_gap", out, setup, gains)
    ledger.open(resume)
    read_dataset(data, group_by)  # refuses what cannot be used before anything is spent
    chosen = {name: idea for name, idea in IDEAS.items() if not names or name in names}
    start = None
    if other_fruit and any(idea.other_fruit for idea in chosen.values()):
        start = on_other_fruit(other_fruit, other_group_by, Path(work), other_epochs)
    settings = (f"train.epochs={epochs}", f"train.weights.lr={lr}")

    def measurements_of(fold: int) -> list[Measurement]:
        split = {"data": data, "group_by": group_by, "fold": (fold, folds), "split_seed": 0}
        place = {**split, "seed": 0, "settings": settings}
        beside = Beside(teacher_of(fold, teachers), str(unlabelled) if unlabelled else None, start)
        where = str(Path(work) / f"fold-{fold}")
        return [
            Measurement(
                f"{name}/{fold}",
                partial(measure, ComparedRun(Named(name, idea.entry), fold, idea.config(place, beside)), where),
            )
            for name, idea in chosen.items()
            if idea.possible(beside) and (names or not is_hopeless(name, ledger.figures))
        ]

    end = time.monotonic() + 60 * minutes
    for part in (range(1, 2), range(2, (until or folds) + 1)):  # the first fold says what is followed
        measurements = [each for fold in part for each in measurements_of(fold)]
        measure_all(ledger, measurements, (end - time.monotonic()) / 60, jobs)
    show(rows := ledger.save())
    draw(rows, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
