"""What four ideas add to the best recipe made by hand, on fruit folds, chosen on validation images.

    python -m benchmarks.suite.recipe_ideas --data ../shared/data/mango_lesions --python .peers/venv/bin/python

The recipe is that of search_pays: EfficientNet-Lite0's first blocks on images of 128 pixels, 120 epochs, and the whole
network, fine-tuned on 224 pixels, as teacher. Each idea changes one thing of it: a teacher that is a regression on the
frozen features of EfficientNet-Lite0, 1 and 2, each at its own size; 300 epochs; mixed images that only the teacher
answers; the weights of three seeds averaged. All learn from the same teacher of their fold but the first. Differences
are paired by image, their intervals from a bootstrap over fruit, p-values corrected by Holm's method for the four.

Time: 12 core-minutes for the recipe, 5 to 15 for an idea: 4 hours of one core. On an H200, without the committee, which
answers on the CPU, and 5 at a time: within 12 minutes. Hardware: 2 CPU cores, or a GPU. n: 676 images of 566 fruit, 5
folds, one seed.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.lib.compared import measure, outcomes_of, summary
from benchmarks.lib.gap.alternatives import ALTERNATIVES
from benchmarks.lib.gap.ideas import Named
from benchmarks.lib.gap.soup import Soup
from benchmarks.lib.holm import correct_by_holm
from benchmarks.lib.measurements import Ledger, Measurement, MeasurementFailedError, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from benchmarks.lib.peers.catalogue import PYTHON, SCRIPTS
from mango_grader import SearchOptions
from mango_grader.datasets import read_dataset
from mango_grader.datasets.record import DataRecord
from mango_grader.files import write_bytes, write_json
from mango_grader.models.baselines.efficientnet_lite import efficientnet_lite0
from mango_grader.workflow.comparison.entries import Runner, Trained
from mango_grader.workflow.comparison.outcomes import ComparedRun
from mango_grader.workflow.comparison.ranking import difference_between
from mango_grader.workflow.distillation.pretrained import teacher_size
from mango_grader.workflow.run.folder import RunFolder

RECIPE = "recipe"
_BEST = ALTERNATIVES["front with a teacher of 224 pixels"]
_FINE_TUNED = ("teacher.recipe.", "teacher.height=", "teacher.width=")  # settings of a teacher that is still to be made


@dataclass(frozen=True)
class Idea:
    """What is changed: settings, the teacher, or that three seeds are averaged."""

    settings: tuple[str, ...] = ()
    committee: bool = False
    soup: bool = False


IDEAS: Mapping[str, Idea] = {
    "committee of frozen networks as teacher": Idea(committee=True),
    "300 epochs": Idea(("train.epochs=300",)),
    "function matching": Idea(("teacher.mixup=1", "teacher.weight=1")),
    "soup of three seeds": Idea(soup=True),
}


@dataclass(frozen=True)
class Fold:
    """One fold: how it is split, where its runs are, and settings of all of them."""

    options: SearchOptions
    number: int
    work: Path
    settings: tuple[str, ...] = ()

    def recipe(self) -> ComparedRun:
        """Return the run of the recipe itself."""
        best = replace(_BEST, settings=(*_BEST.settings, *self.settings))
        return ComparedRun(Named(RECIPE, Trained(_BEST.network)), self.number, best.config(self.options))

    def measure_recipe(self) -> dict[str, Any]:
        return measure(self.recipe(), str(self.work))

    def measure_idea(self, name: str, committee: Path) -> dict[str, Any]:
        """Return what an idea achieves; its teacher is the one that the recipe's run has fine-tuned."""
        idea = IDEAS[name]
        teacher = committee
        if not idea.committee:
            teacher = self.work / "teacher"
            write_teacher(RunFolder(self.work / self.recipe().folder), RunFolder(teacher))
        own = (each for each in self.settings if not each.startswith(_FINE_TUNED))
        settings = (*_BEST.settings, *idea.settings, *own)
        changed = replace(_BEST, settings=settings, teacher=str(teacher))
        entry = Trained(_BEST.network)
        runner: Runner = Soup(entry, name) if idea.soup else Named(name, entry)
        return measure(ComparedRun(runner, self.number, changed.config(self.options)), str(self.work))


def write_teacher(recipe: RunFolder, out: RunFolder) -> None:
    """Write the fine-tuned teacher of a finished run as a run of its own, unless it is there; raises if there is none.

    Its logits are left as they are: a temperature of 1.
    """
    if out.weights.exists():
        return
    fine_tuned = recipe.teacher / "weights.safetensors"
    if not fine_tuned.exists():
        raise MeasurementFailedError(f"no teacher at {fine_tuned}: the recipe is measured first")
    config, classes = recipe.read_config(), DataRecord.load(recipe.data).classes
    height, width = teacher_size(config)
    network = efficientnet_lite0((3, height, width), len(classes))
    own = replace(config, network=network, teacher=None, data=replace(config.data, height=height, width=width))
    write_json(out.config, own.to_dict())
    write_json(out.network, network.to_dict())
    write_json(out.metrics, {"classes": list(classes), "calibration": {"temperatures": [1.0]}})
    write_bytes(out.weights, fine_tuned.read_bytes())


def rows_of(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where each stands, and what it gains on the recipe."""
    outcomes = outcomes_of(figures)
    rows = []
    for row in summary(figures):
        found = None if row["name"] == RECIPE else difference_between(row["name"], RECIPE, outcomes)
        rows.append(row | {"gain": found and asdict(found.difference) | {"n": found.images}})
    correct_by_holm([row["gain"] for row in rows if row["gain"]])
    return rows


def write_committee(python: Path, path: Path) -> None:
    """Write the frozen networks as one ONNX graph, unless it is there; needs the environment of `make bench-peers`."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(SCRIPTS / "committee.py"), str(path)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")


@click.command()
@fold_options
@click.option("--until", type=click.IntRange(1), help="Only the folds up to this one.")
@click.option("--split-seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--idea", "names", multiple=True, type=click.Choice(list(IDEAS)), help="Only these; all unless named.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="For all; for trials.")
@click.option(
    "--python", type=click.Path(path_type=Path), default=PYTHON, help="Interpreter of the peers' environment."
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/recipe_ideas"), show_default=True)
@measurement_options("recipe_ideas", minutes=150)
def main(
    until: int | None,
    names: tuple[str, ...],
    python: Path,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **setup: Any,
) -> None:
    """Measure the recipe and then the ideas, fold by fold; write the JSON and print a table."""
    ledger = Ledger("recipe_ideas", out, setup, rows_of)
    ledger.open(resume)
    read_dataset(setup["data"], setup["group_by"])  # refuses what cannot be used before anything is spent
    chosen, committee = [name for name in IDEAS if name in (names or IDEAS)], (work / "committee.onnx").absolute()
    if any(IDEAS[name].committee for name in chosen):
        write_committee(python, committee)
    folds = []
    for number in range(1, (until or setup["folds"]) + 1):
        split = {name: setup[name] for name in ("data", "group_by", "split_seed")}
        options = SearchOptions(**split, fold=(number, setup["folds"]))
        folds.append(Fold(options, number, (work / f"fold-{number}").absolute(), tuple(setup["settings"])))
    recipes = [Measurement(f"{RECIPE}/{fold.number}", fold.measure_recipe) for fold in folds]
    measure_all(ledger, recipes, minutes, jobs)
    ideas = [
        Measurement(f"{name}/{fold.number}", partial(fold.measure_idea, name, committee))
        for fold in folds
        for name in chosen
    ]
    measure_all(ledger, ideas, minutes, jobs)
    for row in ledger.save():
        gain, validated = row["gain"], row["exits"][-1]["validation"]["mean"]
        gained = "" if gain is None else "{value:+.1%} ({low:+.1%} to {high:+.1%}), p = {p_holm:.3f}".format(**gain)
        click.echo(f"{row['name']:42} validation {validated:.1%}, test {row['pooled']['value']:.1%}  {gained}")


if __name__ == "__main__":
    sys.exit(main())
