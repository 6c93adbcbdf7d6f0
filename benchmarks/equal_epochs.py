"""Is it the network, or the time it had? What methods_on_mangoes.py found, trained anew, all for equally many epochs.

    python benchmarks/equal_epochs.py --found runs/methods_on_mangoes --pairs dso/dag,random/dag

At equal wall-clock a dearer network sees its fruit less often. A cell is one network, found by a pair METHOD/SPACE in
repeat r, trained from scratch for --epochs by the same recipe on the same fold, however long that takes.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
from cells import Cell, Ledger, cell_options, measure_cells
from compared import measure, summary
from methods_on_mangoes import draw, show

from mango_grader.files import read_json
from mango_grader.models import NetworkSpec
from mango_grader.progress import Progress
from mango_grader.workflow.comparison.outcomes import ComparedRun
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.train import train


@dataclass(frozen=True)
class Found:
    """The networks that a pair found in the runs below `runs`, a folder for each seed."""

    name: str
    runs: Path

    def again(self, seed: int, epochs: int) -> RunConfig:
        """Return the training from scratch of what the run of that seed found: its data, split and recipe."""
        folder = RunFolder(self.runs / self.name.replace("/", "-") / f"seed-{seed}")
        config, network = folder.read_config(), NetworkSpec.from_dict(read_json(folder.network))
        return replace(config, search=None, network=network, budget=None, train=config.train.lasting(epochs))

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        return train(out, config, resume=RunFolder(out).config.exists(), progress=progress)


@click.command()
@click.option("--found", type=click.Path(exists=True, path_type=Path), default=Path("runs/methods_on_mangoes"))
@click.option("--pairs", default="dso/dag,random/dag", show_default=True, help="METHOD/SPACE, with commas.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True)
@click.option("--work", default="runs/equal_epochs", show_default=True, help="Where the trainings are kept.")
@cell_options("equal_epochs", minutes=60)
def main(
    found: Path,
    pairs: str,
    seeds: int,
    epochs: int,
    work: str,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    """Train every network again, all first repeats first; write the JSON, the plot and a short table."""
    entries = [Found(pair, found) for pair in pairs.split(",")]
    runs = [
        ComparedRun(entry, repeat, entry.again(repeat - 1, epochs))
        for repeat in range(1, seeds + 1)
        for entry in entries
    ]
    setup = {"epochs": epochs, "data": Path(runs[0].config.data.path).name}
    ledger = Ledger("equal_epochs", out, setup, summary)
    ledger.open(resume)
    measure_cells(ledger, [Cell(run.name, partial(measure, run, work)) for run in runs], minutes, jobs)
    if rows := ledger.save():
        show(rows)
        draw(rows, out.with_suffix(".png"), f"{setup['data']}: the networks found, {epochs} epochs each")


if __name__ == "__main__":
    main()
