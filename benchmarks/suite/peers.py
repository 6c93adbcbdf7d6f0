"""What a user would pick instead of a searched network, on the same split and machine and in the same run.

    make bench-peers                (makes the environment of foreign peers, .peers/venv, first)
    python -m benchmarks.suite.peers --data ../shared/data/mango_lesions --group-by groups.csv:group

A measurement is one peer on one fold. Our own search and baselines run in our workflow; the others are scripts of
benchmarks/lib/peers/scripts/ in an environment of their own, and "not installed" where there is none. Accuracy is
pooled over the folds, each image tested once; intervals and paired differences come from a bootstrap over groups.

Time: 3 hours. Hardware: 2 CPU cores. n: 676 images in 646 groups, 5 folds.
"""

import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from benchmarks.lib.peers.catalogue import PYTHON, Foreign, Scale, peers_of
from benchmarks.lib.peers.runs import pack_fold
from benchmarks.lib.peers.summary import draw, latency_name, measurement_name, show, summary
from mango_grader.cli.run_options import Duration


@click.command()
@fold_options
@click.option("--until", type=click.IntRange(1), default=None, help="Measure folds 1 to this one only.")
@click.option("--peers", "chosen", default=",".join(peers_of(PYTHON)), show_default=True, help="Names, by commas.")
@click.option(
    "--budget", type=Duration(), default="10m", show_default=True, help="Of our run; AutoKeras learns as long."
)
@click.option("--max-params", default=350_000, show_default=True, help="Of our search.")
@click.option("--set", "settings", multiple=True, help="Settings of our search.")
@click.option("--epochs", type=int, help="Of all trainings but our search's; each one's own number unless given.")
@click.option("--size", default=128, show_default=True, help="Pixels of either side.")
@click.option("--seed", default=0, show_default=True)
@click.option("--python", type=click.Path(path_type=Path), default=PYTHON, help="Interpreter of foreign peers.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/peers"), show_default=True)
@measurement_options("peers", minutes=180)
def main(
    until: int | None,
    chosen: str,
    python: Path,
    work: Path,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **scale_options: Any,
) -> None:
    """Measure fold by fold, write the JSON, print a table and draw the plot."""
    scale = Scale(**scale_options)
    names, peers = chosen.split(","), peers_of(python)
    if unknown := set(names) - set(peers):
        raise click.UsageError(f"--peers: no {', '.join(sorted(unknown))}; there are {', '.join(peers)}")
    missing = [name for name in names if isinstance(peer := peers[name], Foreign) and not peer.installed()]
    packs = {
        fold: pack_fold(scale.searched(fold).config().data, work / f"fold-{fold}") for fold in range(1, scale.folds + 1)
    }
    groups = {fold: pack.groups() for fold, pack in packs.items()}
    ledger = Ledger("peers", out, asdict(scale), partial(summary, list(peers), missing, groups))
    ledger.open(resume)
    wanted = [
        (name, fold, pack, work / name / f"fold-{fold}")
        for fold, pack in packs.items()
        for name in names
        if name not in missing and (until is None or fold <= until)
    ]
    learning = [
        Measurement(measurement_name(name, fold), peers[name].learn(scale, fold, pack, folder))
        for name, fold, pack, folder in wanted
    ]
    measure_all(ledger, learning, minutes, jobs)
    timing = [
        Measurement(latency_name(name, fold), peers[name].time(pack, folder))
        for name, fold, pack, folder in wanted
        if measurement_name(name, fold) in ledger.measurements
    ]
    measure_all(ledger, timing, math.inf, jobs=1)
    show(rows := ledger.save())
    draw(rows, scale.size, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
