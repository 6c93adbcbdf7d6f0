"""How near a network of 13 M multiply-adds comes to a pretrained one ten times its cost: one idea at a time.

    python benchmarks/close_the_gap.py --data ../shared/data/mango_lesions --minutes 120

Every idea changes one thing of the plain recipe: EfficientNet-Lite0's first eight blocks, started from ImageNet
weights, on pictures of 128×128 pixels that the network halves first. A cell is one idea on one fold; folds and pictures
are the same for all, and differences to the plain recipe are paired. Ideas are chosen by their accuracy on validation
pictures. --teachers DIR holds fold-K/model.onnx, as peers.py leaves them, each fine-tuned without that fold's
validation and test pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from cells import Cell, Ledger, cell_options, measure_cells
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mango_grader import SearchOptions
from mango_grader.datasets import read_dataset
from mango_grader.files import read_json
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.progress import Progress, make_progress
from mango_grader.workflow.comparison.entries import Entry, Searched, Trained
from mango_grader.workflow.comparison.outcomes import ComparedRun, Outcome
from mango_grader.workflow.comparison.standings import against, standings
from mango_grader.workflow.config import RunConfig, checked, plain
from mango_grader.workflow.folder import RunFolder

PLAIN = "plain"
_FRONT, _WHOLE = Trained("efficientnet_lite0_front_halved"), Trained("efficientnet_lite0_front")


@dataclass(frozen=True)
class Idea:
    """What is tried: a network or a search, how far it is from the plain recipe, and whose answers it learns."""

    entry: Entry = _FRONT
    settings: tuple[str, ...] = ()
    init_from: str | None = EFFICIENTNET_LITE0
    size: int = 128
    taught: bool = False
    unlabelled: bool = False
    max_macs: int | None = None

    def config(self, place: Mapping[str, Any], teacher: str | None, unlabelled: str | None) -> RunConfig:
        options = SearchOptions(
            **{**place, "settings": (*place["settings"], *self.settings)},
            size=(self.size, self.size),
            init_from=self.init_from,
            teacher=teacher if self.taught else None,
            unlabelled=unlabelled if self.unlabelled else None,
            max_macs=self.max_macs,
        )
        return self.entry.config(options)


IDEAS: Mapping[str, Idea] = {
    PLAIN: Idea(),
    "not pretrained": Idea(init_from=None),
    "average of weights": Idea(settings=("train.ema=0.98",)),
    "last exit weighs most": Idea(settings=("train.exit_weights=[0.2,0.2,1]",)),
    "earlier exits only listen": Idea(settings=("train.exit_gradient=0",)),
    "no cutout": Idea(settings=("augment.cutout_probability=0",)),
    "thrice the epochs": Idea(settings=("train.epochs=120",)),
    "turned by any angle": Idea(settings=("augment.rotate=180",)),
    "AutoAugment": Idea(settings=("augment.policy=imagenet",)),
    "taught": Idea(taught=True),
    "taught, thrice the epochs": Idea(taught=True, settings=("train.epochs=120",)),
    "taught on unlabelled fruit, too": Idea(taught=True, unlabelled=True),
    "pictures of 64 pixels": Idea(_WHOLE, size=64),
    "not halved, 4 times the MACs": Idea(_WHOLE),
    "searched by spos": Idea(Searched("spos", "lite"), max_macs=13_000_000),
    "searched by betanas": Idea(Searched("betanas", "lite"), max_macs=13_000_000),
    "searched at random": Idea(Searched("random", "lite"), max_macs=13_000_000),
    "ShuffleNetV2 ×0.5": Idea(Trained("shufflenet_v2_x0_5"), init_from=None),
}


@dataclass(frozen=True)
class Named:
    """An entry under the name of its idea."""

    name: str
    entry: Entry

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        return self.entry.run(out, config, progress)


def measure(run: ComparedRun, work: str) -> dict[str, Any]:
    """Do the run, or what is missing of it; what the last epoch's validation accuracies were is kept beside it."""
    outcome: dict[str, Any] = plain(run.perform(Path(work), make_progress("none")))
    folder = RunFolder(Path(work) / run.folder)
    rows = [row for row in folder.read_history() if row["phase"] == "train"] if outcome["figures"] else []
    parts = read_json(folder.split) if rows else {"val": []}
    return {"outcome": outcome, "validation": rows[-1]["val_accuracy"] if rows else None, "n": len(parts["val"])}


def summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where the ideas stand, and what each gains on the plain recipe on the folds that both have."""
    outcomes = [checked(Outcome, cell["outcome"]) for cell in figures.values()]
    rows = []
    for standing in standings(outcomes):
        cells = [c for c in figures.values() if c["outcome"]["entry"] == standing.name and c["validation"]]
        weights = [cell["n"] for cell in cells]
        row = asdict(standing) | {"to_random": None}
        row["validation"] = [
            float(v) for v in np.average([cell["validation"] for cell in cells], axis=0, weights=weights)
        ]
        row["validated"] = sum(weights)
        gain = None if standing.name == PLAIN else against(standing.name, PLAIN, outcomes)
        row["gain"] = None if gain is None else asdict(gain.difference) | {"n": gain.pictures}
        rows.append(row)
    return rows


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    click.echo(
        f"{'idea':34}{'folds':>6}{'validation':>12}{'test, pooled':>22}{'M MACs':>8}{'k params':>10}  gain on plain"
    )
    for row in rows:
        at, last, gain = row["pooled"], row["exits"][-1], row["gain"]
        interval = f"{100 * at['value']:.1f} ({100 * at['low']:.1f} to {100 * at['high']:.1f})"
        told = f"{100 * gain['value']:+.1f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})" if gain else ""
        click.echo(
            f"{row['name']:34}{row['runs']:6}{100 * row['validation'][-1]:12.1f}{interval:>22}"
            f"{last['macs']['mean'] / 1e6:8.1f}{last['params']['mean'] / 1e3:10.0f}  {told}"
        )


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw each idea's pooled test accuracy with its interval over groups, the best on top."""
    figure = Figure(figsize=(9, 1.2 + 0.4 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(reversed(rows)):
        at = row["pooled"]
        axis.errorbar(
            at["value"], place, xerr=[[at["value"] - at["low"]], [at["high"] - at["value"]]], fmt="o", color="C0"
        )
        axis.plot(row["validation"][-1], place, marker="|", ms=12, color="C1")
    names = [
        f"{row['name']} ({row['runs']} folds, {row['exits'][-1]['macs']['mean'] / 1e6:.0f} M MACs)" for row in rows
    ]
    axis.set_yticks(range(len(rows)), names[::-1])
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_xlabel("accuracy of the last exit: test, 95 % interval over groups (dot); validation (bar)")
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


@click.command()
@click.option("--data", default="../shared/data/mango_lesions", show_default=True)
@click.option("--group-by", default="groups.csv:group", show_default=True)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--until", type=click.IntRange(1), help="Only the folds up to this one.")
@click.option("--idea", "names", multiple=True, type=click.Choice(list(IDEAS)), help="Only these; all unless named.")
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True)
@click.option("--lr", type=float, default=1e-3, show_default=True)
@click.option("--teachers", type=click.Path(path_type=Path), help="Folder with fold-K/model.onnx; ideas need it.")
@click.option("--unlabelled", type=click.Path(path_type=Path), help="Folder of other fruit; ideas need it.")
@click.option("--work", default="runs/close_the_gap", show_default=True, help="Where the runs are kept.")
@cell_options("close_the_gap", minutes=120)
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
    work: str,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    """Measure every idea fold by fold, write the JSON, print a table and draw it."""
    setup = {"data": data, "group_by": group_by, "folds": folds, "epochs": epochs, "lr": lr, "seed": 0}
    ledger = Ledger("close_the_gap", out, setup, summary)
    ledger.open(resume)
    read_dataset(data, group_by)  # refuses what cannot be used before anything is spent
    chosen = {name: idea for name, idea in IDEAS.items() if not names or name in names}
    cells = []
    for fold in range(1, (until or folds) + 1):
        place = {"data": data, "group_by": group_by, "fold": (fold, folds), "split_seed": 0, "seed": 0}
        place["settings"] = (f"train.epochs={epochs}", f"train.weights.lr={lr}")
        teacher = teachers / f"fold-{fold}" / "model.onnx" if teachers else None
        for name, idea in chosen.items():
            if (idea.taught and not (teacher and teacher.exists())) or (idea.unlabelled and unlabelled is None):
                continue
            config = idea.config(place, teacher and str(teacher), unlabelled and str(unlabelled))
            run = ComparedRun(Named(name, idea.entry), fold, config)
            cells.append(Cell(f"{name}/{fold}", partial(measure, run, str(Path(work) / f"fold-{fold}"))))
    measure_cells(ledger, cells, minutes, jobs)
    ledger.save()
    show(rows := summary(ledger.figures))
    draw(rows, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
