"""Every search method on real mangoes, on its paper's space and on `multiscale`, against random search in equal time.

    python -m benchmarks.suite.methods_on_mangoes --seeds 5 --budget 2m --size 96

It does what `mango-grader compare` does for a user's fruit. A measurement is one run of a pair METHOD/SPACE, from
photos to bundle within --budget seconds, trained by the same recipe under the same limit on parameters. Repeat r has
seed r − 1 and is tested on fold ((r − 1) mod folds) + 1 of one grouped split. Run folders stay in --work, where an
unfinished run continues. Every measurement keeps which images were answered correctly, so that differences are paired.

Time: 2 minutes on one core a measurement. Hardware: 2 CPU cores. n: 5 folds and seeds a pair, 676 images.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from benchmarks.lib.compared import measure, summary
from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import fold_options, measurement_options
from benchmarks.lib.plots import save_plot
from mango_grader import SearchOptions
from mango_grader.automl.methods import METHODS
from mango_grader.cli.run_options import Duration, Size
from mango_grader.report.charts import percent
from mango_grader.settings import plain
from mango_grader.workflow.comparison import Comparison

_RANDOM, _COMMON = "random", "multiscale"
_COLUMNS = 3


def pairs() -> list[str]:
    """Return every method on its default space and on the common one, then random search on each of these spaces."""
    methods = [METHODS[name] for name in compared_methods()]
    spaces = dict.fromkeys([_COMMON, *(method.default_space for method in methods)])
    own = dict.fromkeys(f"{method.name}/{space}" for method in methods for space in (method.default_space, _COMMON))
    return [*own, *(f"{_RANDOM}/{space}" for space in spaces)]


def setup_of(comparison: Comparison) -> dict[str, Any]:
    """Return what all measurements have in common, as the results keep it."""
    setup: dict[str, Any] = plain(comparison)
    del setup["options"]["method"], setup["options"]["space"]  # the pairs say that
    if setup["options"]["labels"] is None:
        del setup["options"]["labels"]  # so that results from before this option can be resumed
    return setup


def compared_methods() -> list[str]:
    """Return the methods that are compared with random search."""
    return [name for name in METHODS if name != _RANDOM]


def draw(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw the accuracy–MACs curve of each method, a panel for each space; known networks are in every panel."""
    spaces = list(dict.fromkeys(space for row in rows if (space := row["name"].partition("/")[2]))) or [""]
    colours = {_RANDOM: "black", **{name: f"C{place}" for place, name in enumerate(compared_methods())}}
    lines = -(-len(spaces) // _COLUMNS)
    figure = Figure(figsize=(max(7, 4.6 * min(_COLUMNS, len(spaces))), 0.6 + 3.6 * lines), layout="constrained")
    axes = figure.subplots(lines, min(_COLUMNS, len(spaces)), sharey=True, squeeze=False).ravel()
    for axis, space in zip(axes, spaces, strict=False):
        for row in rows:
            method, _, own = row["name"].partition("/")
            if own in (space, ""):
                exits = row["exits"]
                axis.errorbar(
                    [each["macs"]["mean"] for each in exits],
                    [each["accuracy"]["mean"] for each in exits],
                    [each["accuracy"]["sd"] or 0.0 for each in exits],
                    color=colours.get(method, "grey"),
                    linestyle="--" if method == _RANDOM else "-",
                    marker="o",
                    markersize=4,
                    elinewidth=0.8,
                    capsize=2,
                    label=f"{method} (n = {row['runs']})",
                )
        axis.set(title=space, xlabel="MACs of one image, up to the exit")
        axis.set_xlim(left=0)
        axis.xaxis.set_major_formatter(EngFormatter(sep=" "))
        axis.yaxis.set_major_formatter(percent())
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="lower right")
    for axis in axes[len(spaces) :]:
        axis.set_visible(False)
    for axis in axes[::_COLUMNS]:
        axis.set_ylabel("test accuracy, mean ± sd")
    figure.suptitle(title, fontsize=10)
    save_plot(figure, path, dpi=130)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each pair."""
    click.echo(
        f"{'pair':24}{'n':>3}{'validation':>12}{'last exit %':>15}{'pooled':>8}"
        f"{'M MACs':>8}{'k params':>10}{'s':>6}  to random"
    )
    for row in rows:
        last, against = row["exits"][-1], row["to_random"]
        gap = "" if against is None else _gap(against["difference"])
        spread = f"{100 * last['accuracy']['mean']:.1f} ± {100 * (last['accuracy']['sd'] or 0):.1f}"
        seconds = f"{row['whole_s']['mean']:.0f}" if row["whole_s"] else "–"
        click.echo(
            f"{row['name']:24}{row['runs']:3}{100 * last['validation']['mean']:12.1f}"
            f"{spread:>15}{100 * row['pooled']['value']:8.1f}"
            f"{last['macs']['mean'] / 1e6:8.1f}{last['params']['mean'] / 1e3:10.0f}{seconds:>6}  {gap}"
        )


def _gap(gap: Mapping[str, Any]) -> str:
    if gap["low"] is None:
        return f"{100 * gap['value']:+.1f}"
    return f"{100 * gap['value']:+.1f} ({100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}), p = {gap['p']:.3f}"


@click.command()
@fold_options
@click.option("--pairs", "asked", default=",".join(pairs()), help="METHOD/SPACE, with commas; all unless named.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--budget", type=Duration(), default="4m", show_default=True, help="Of each run, up to its bundle.")
@click.option("--max-params", type=click.IntRange(1), default=350_000, show_default=True)
@click.option("--preset", default="quick", show_default=True)
@click.option("--size", type=Size(), help="The network's input; the preset's unless given.")
@click.option("--device", default="auto", show_default=True)
@click.option("--set", "settings", multiple=True, help="Settings of all runs: train.batch_size=64.")
@click.option("--work", default="runs/methods_on_mangoes", show_default=True, help="Where the runs are kept.")
@measurement_options("methods_on_mangoes", minutes=180)
def main(
    asked: str,
    seeds: int,
    folds: int,
    work: str,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
    **options: Any,
) -> None:
    """Measure every pair, all first repeats first; write the JSON, the plot and a short table."""
    comparison = Comparison(tuple(asked.split(",")), SearchOptions(**options), seeds, folds, jobs)
    ledger = Ledger("methods_on_mangoes", out, setup_of(comparison), summary)
    ledger.open(resume)
    measurements = [Measurement(run.name, partial(measure, run, work)) for run in comparison.runs()]
    measure_all(ledger, measurements, minutes, jobs)
    if rows := ledger.save():
        show(rows)
        limits = f"{options['budget']:.0f} s a run, ≤ {options['max_params']:,} parameters"
        draw(
            rows, out.with_suffix(".png"), f"{Path(options['data']).name}: {limits}, {rows[0]['groups']} groups pooled"
        )


if __name__ == "__main__":
    main()
