"""Do the scores of shared weights rank networks as their own trainings do? Kendall's τ, against two simpler scores.

    python -m benchmarks.suite.ranking --data ../shared/data/mango_lesions --minutes 240

Networks are drawn evenly from a space, narrowed to --max-macs as in a run. Each is trained by itself with --seeds
seeds, as `search` trains its result; their mean is the truth, once as accuracy and once as cross entropy, the mean
over exits. Each is also scored by --super-nets super nets, trained on even paths as `random` does, drawn by chance or
by fair turns: by accuracy on the held-out images, by cross entropy on them, and by its multiply-adds alone. τ between
two trainings of the same networks says what can be expected at most. Intervals are 95 % bootstraps over networks; gains
are paired differences to the score by accuracy. A score is chosen by validation images; test images report.

Time: 1 to 2 minutes a training, 3 a super net, so 3 to 4 hours of one core. Hardware: 2 CPU cores. n: 20 networks a
space, 2 trainings each, 2 super nets for each way to draw paths.
"""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.lib.fidelity.kendall import summarise
from benchmarks.lib.fidelity.networks import Fidelity, own_scores, shared_scores
from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from mango_grader.automl.spaces import SPACES
from mango_grader.datasets import read_dataset

PATHS = {"even": False, "fair": True}


def measurements(kinds: tuple[str, ...], seeds: int, super_nets: int, scale: Fidelity) -> Iterator[Measurement]:
    """Yield a measurement for each super net and each training, seed by seed."""
    for seed in range(max(seeds, super_nets)):
        for kind in kinds:
            if seed < super_nets:
                for paths, fair in PATHS.items():
                    yield Measurement(f"{kind}/shared {paths}/{seed}", partial(shared_scores, kind, fair, seed, scale))
            if seed < seeds:
                for network in range(scale.networks):
                    yield Measurement(f"{kind}/own {network}/{seed}", partial(own_scores, kind, network, seed, scale))


@click.command()
@fold_options
@click.option("--space", "kinds", multiple=True, type=click.Choice(list(SPACES)), default=["dag", "lite"])
@click.option("--networks", type=click.IntRange(3), default=20, show_default=True, help="Networks of a space.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Trainings of each network.")
@click.option("--super-nets", type=click.IntRange(1), default=2, show_default=True, help="For each way to draw paths.")
@click.option("--size", default=128, show_default=True, help="Pixels of either side.")
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True, help="Of each training.")
@click.option("--max-macs", type=click.IntRange(1), default=13_000_000, show_default=True)
@click.option("--pretrained/--not-pretrained", default=True, help="Whether `lite` starts from ImageNet.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="As for `mango-grader search`.")
@click.option("--work", default="runs/ranking", show_default=True, help="Where decoded images are kept.")
@measurement_options("ranking", minutes=240)
def main(
    kinds: tuple[str, ...],
    seeds: int,
    super_nets: int,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **asked: Any,
) -> None:
    """Measure what is missing, save each measurement at once, and print τ of every score."""
    scale = Fidelity(**asked)
    setup = asdict(scale)
    del setup["work"]
    ledger = Ledger("ranking", out, setup, summarise)
    ledger.open(resume)
    read_dataset(scale.data, scale.group_by)  # refuses what cannot be used before anything is spent
    measure_all(ledger, list(measurements(kinds, seeds, super_nets, scale)), minutes, jobs)
    for row in ledger.save():
        name = f"{row['space']:12}{row['part']:12}{row['truth']:15}{row['paths']:6}{row['score']:18}"
        gain = f"  gain {row['gain']:+.2f} ({row['gain_low']:+.2f} to {row['gain_high']:+.2f})" if "gain" in row else ""
        click.echo(f"{name}τ {row['tau']:+.2f} ({row['tau_low']:+.2f} to {row['tau_high']:+.2f}){gain}")


if __name__ == "__main__":
    main()
