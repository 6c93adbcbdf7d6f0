"""What the default search gains on another network of search_pays, exit by exit, over folds of several seeds.

    python -m benchmarks.suite.search_pays_pooled

Nothing is trained: it reads the answers that search_pays kept. Differences are paired by image within one seed of
folds; intervals come from a bootstrap over fruit, all seeds together. Nothing is corrected for the number of exits.

Time: a minute. Hardware: 1 CPU core. n: 676 images of 566 fruit, for each seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.lib.compared import answers_of
from benchmarks.lib.conditions import conditions
from benchmarks.lib.measurements import RESULTS, Ledger, figures_of
from benchmarks.suite.search_pays import DEFAULT
from mango_grader.files import read_json
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference

RECIPE = "front with a teacher of 224 pixels"
KEPT = tuple(RESULTS / f"search_pays{each}.json" for each in ("", "-split-1", "-split-2"))
MEAN = "mean of the exits"


def gains(rival: str, several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return, for each exit and the mean of all, both accuracies and what the default search gains on `rival`.

    Raises click.UsageError where the two were not tested on the same images.

    Args:
        rival: the other network.
        several: figures by name of measurement, for each seed of folds.
    """
    own, other, groups = [], [], []
    for figures in several:
        ours, theirs = answers_of(DEFAULT, figures), answers_of(rival, figures)
        if not ours or ours.keys() != theirs.keys():
            raise click.UsageError(f"{DEFAULT} and {rival} were not tested on the same images: measure both first")
        for path, (group, marks) in ours.items():
            own.append([*marks, np.mean(marks)])
            other.append([*theirs[path][1], np.mean(theirs[path][1])])
            groups.append(group)
    bootstrap, names = GroupBootstrap(groups, seed=0), [f"exit {place}" for place in range(1, len(own[0]))]

    def accuracy(marks: np.ndarray[Any, Any]) -> dict[str, Any]:
        counted = np.stack([marks, np.ones_like(marks)], axis=1)
        return asdict(bootstrap.estimate(counted, lambda sums: sums[:, 0] / sums[:, 1]))

    columns = zip([*names, MEAN], np.array(own).T, np.array(other).T, strict=True)
    return {
        name: {
            "n": len(groups),
            "search": accuracy(mine),
            "rival": accuracy(its),
            "gain": asdict(paired_difference(mine, its, groups, seed=0)),
        }
        for name, mine, its in columns
    }


@click.command()
@click.option("--kept", multiple=True, type=click.Path(exists=True, path_type=Path), default=KEPT, show_default=True)
@click.option("--rival", default=RECIPE, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS / "search_pays_pooled.json")
def main(kept: tuple[Path, ...], rival: str, out: Path) -> None:
    """Compare, write the JSON and print a table."""
    setup = {"rival": rival, "kept": [path.name for path in kept]}
    ledger = Ledger(
        "search_pays_pooled", out, setup, lambda figures: [{"name": name, **row} for name, row in figures.items()]
    )
    under = conditions()
    for name, row in gains(rival, [figures_of(read_json(path)) for path in kept]).items():
        ledger.add(name, row, 0.0, under)
    for row in ledger.save():
        value, low, high = (100 * row["gain"][key] for key in ("value", "low", "high"))
        click.echo(
            f"{row['name']:20}{100 * row['search']['value']:.1f} against {100 * row['rival']['value']:.1f} %  "
            f"{value:+.1f} ({low:+.1f} to {high:+.1f}), p = {row['gain']['p']:.4f}"
        )


if __name__ == "__main__":
    main()
