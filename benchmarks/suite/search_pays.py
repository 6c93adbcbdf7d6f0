"""Whether a search earns its time: the default search in ten minutes, and what a user would train instead.

    python -m benchmarks.suite.search_pays --data ../shared/data/mango_lesions --group-by groups.csv:fruit

All are measured on the same folds, made so that no fruit lies in two of them. "default" is `mango-grader search` with
--budget and no other option; "previous default" is the same command of the checkout that --previous names. The others
take the epochs that they need: a hand-made anytime network of the same cost (MSDNet), EfficientNet-Lite0 fine-tuned at
ten times the cost, its front without a search, and that with a teacher, the best recipe so far. Accuracies are pooled
over the folds, each image tested once; differences are paired by image, their intervals from a bootstrap over fruit,
their p-values corrected by Holm's method.

Time: 10 minutes a search and 2 to 10 a training, 2 at a time: 2 hours for five folds. Hardware: 2 CPU cores, one a run.
n: 676 images of 566 fruit, 5 folds.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from benchmarks.lib.compared import measure, outcomes_of, summary
from benchmarks.lib.gap.alternatives import ALTERNATIVES
from benchmarks.lib.gap.ideas import Named
from benchmarks.lib.holm import correct_by_holm
from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from mango_grader import SearchOptions
from mango_grader.cli.run_options import Duration
from mango_grader.datasets import read_dataset
from mango_grader.progress import Progress
from mango_grader.workflow.comparison.entries import Runner, Trained
from mango_grader.workflow.comparison.outcomes import ComparedRun
from mango_grader.workflow.comparison.ranking import difference_between
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.search import search

DEFAULT, PREVIOUS = "default", "previous default"


@dataclass(frozen=True)
class Default:
    """The default search of this checkout."""

    name: str = DEFAULT

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        return search(out, config, resume=RunFolder(out).config.exists(), progress=progress)


@dataclass(frozen=True)
class Elsewhere:
    """The same command of another checkout."""

    checkout: str
    settings: tuple[str, ...] = ()
    name: str = PREVIOUS

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        data = config.data
        assert data.fold is not None
        fold, folds = data.fold
        budget = () if config.budget is None else ("--budget", f"{config.budget:.0f}s")
        new = (
            *("--data", data.path, "--group-by", str(data.group_by), "--fold", f"{fold}/{folds}"),
            *("--seed", str(config.seed), *budget, *(part for each in self.settings for part in ("--set", each))),
        )
        rest = ("--resume",) if RunFolder(out).config.exists() else new
        command = [sys.executable, "-m", "mango_grader", "search", "--out", str(out.resolve()), *rest]
        subprocess.run(command, cwd=self.checkout, env={**os.environ, "PYTHONPATH": self.checkout}, check=True)
        return RunFolder(out)


def runs_of(
    options: SearchOptions, previous: str | None, names: tuple[str, ...]
) -> Mapping[str, tuple[Runner, RunConfig]]:
    """Return what is run on one fold, and its settings, by name."""
    unlimited = replace(options, budget=None, settings=())
    found: dict[str, tuple[Runner, RunConfig]] = {DEFAULT: (Default(), options.config())}
    if previous is not None:
        found[PREVIOUS] = (Elsewhere(previous, tuple(options.settings)), options.config())
    for name, alternative in ALTERNATIVES.items():
        found[name] = (Named(name, Trained(alternative.network)), alternative.config(unlimited))
    return {name: run for name, run in found.items() if not names or name in names}


def rows_of(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where each stands, and what the default search gains on it."""
    outcomes = outcomes_of(figures)
    rows = []
    for row in summary(figures):
        found = None if row["name"] == DEFAULT else difference_between(DEFAULT, row["name"], outcomes)
        rows.append(row | {"default_gains": found and asdict(found.difference) | {"n": found.images}})
    correct_by_holm([row["default_gains"] for row in rows if row["default_gains"]])
    return rows


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each."""
    click.echo(
        f"{'':36}{'folds':>6}{'test, pooled':>22}{'M MACs':>8}{'k params':>10}{'s a run':>9}  the default search gains"
    )
    for row in rows:
        at, last, gain = row["pooled"], row["exits"][-1], row["default_gains"]
        interval = f"{100 * at['value']:.1f} ({100 * at['low']:.1f} to {100 * at['high']:.1f})"
        points = {key: 100 * gain[key] for key in ("value", "low", "high")} | {"p": gain["p_holm"]} if gain else {}
        gained = "{value:+.1f} ({low:+.1f} to {high:+.1f}), p = {p:.3f}".format(**points) if gain else ""
        click.echo(
            f"{row['name']:36}{row['runs']:6}{interval:>22}{last['macs']['mean'] / 1e6:8.1f}"
            f"{last['params']['mean'] / 1e3:10.0f}{row['whole_s']['mean']:9.0f}  {gained}"
        )


@click.command()
@fold_options
@click.option("--until", type=click.IntRange(1), help="Only the folds up to this one.")
@click.option("--split-seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--budget", type=Duration(), default="10m", show_default=True)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Of the two defaults, without a budget; for trials."
)
@click.option("--previous", type=click.Path(exists=True, file_okay=False), help="A checkout of an earlier version.")
@click.option(
    "--name", "names", multiple=True, type=click.Choice([DEFAULT, PREVIOUS, *ALTERNATIVES]), help="Only these."
)
@click.option("--work", default="runs/search_pays", show_default=True, help="Where the runs are kept.")
@measurement_options("search_pays", minutes=150)
def main(
    until: int | None,
    previous: str | None,
    names: tuple[str, ...],
    work: str,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **setup: Any,
) -> None:
    """Measure fold by fold, write the JSON and print a table."""
    stated = {name: value for name, value in setup.items() if name != "settings" or value}
    if setup["settings"]:
        if click.get_current_context().get_parameter_source("budget") is not ParameterSource.DEFAULT:
            raise click.UsageError("--budget would be ignored beside --set; leave one of them out")
        stated["budget"] = None
    ledger = Ledger("search_pays", out, stated, rows_of)
    ledger.open(resume)
    read_dataset(setup["data"], setup["group_by"])  # refuses what cannot be used before anything is spent
    measurements = []
    for fold in range(1, (until or setup["folds"]) + 1):
        options = SearchOptions(
            data=setup["data"],
            group_by=setup["group_by"],
            fold=(fold, setup["folds"]),
            budget=stated["budget"],
            settings=setup["settings"],
            split_seed=setup["split_seed"],
        )
        where = str(Path(work) / f"split-{setup['split_seed']}" / f"fold-{fold}")
        for name, (runner, config) in runs_of(options, previous, names).items():
            compared = ComparedRun(runner, fold, config)
            measurements.append(Measurement(f"{name}/{fold}", partial(measure, compared, where)))
    measure_all(ledger, measurements, minutes, jobs)
    show(ledger.save())


if __name__ == "__main__":
    main()
