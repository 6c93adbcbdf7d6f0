"""The claims of MS-RANAS, BetaNAS, DSO-NAS and MNet about their own parts, tested again on small real data.

    python -m benchmarks.suite.ablations [--study dso] [--resume]

Searches learn on the training part, results are trained from scratch on it, and accuracy is that on the test part.
Each study takes the data of its paper, in small: subsets of CIFAR-10, mango lesions for MNet; --data replaces all of
them. The unit of comparison is the seed, which changes images, search and training alike.

Time: 2 hours and more. Hardware: 2 CPU cores. n: 3 seeds (BetaNAS's Fig 6: 8).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
from matplotlib.axes import Axes

from benchmarks.lib.measurements import Ledger, measure_all
from benchmarks.lib.options import measurement_options
from benchmarks.lib.plots import save_plot
from benchmarks.lib.studies import STUDIES
from benchmarks.lib.studies.data import PARTS
from benchmarks.lib.studies.frame import Scale

_COLOURS = {"holds": "C2", "does not hold": "C3", "cannot be told at this scale": "0.5"}


@click.command()
@measurement_options("ablations", minutes=120)
@click.option("--study", "chosen", multiple=True, type=click.Choice(list(STUDIES)), help="Only these; all if absent.")
@click.option("--data", help="A folder of graded fruit for all studies, in place of their own data.")
@click.option("--group-by", help="What keeps images of --data together, as for `mango-grader search`.")
@click.option("--shared", default=os.environ.get("MANGO_DATA", "../shared/data"), help="Where the studies' data are.")
@click.option("--work", default="runs/ablations", show_default=True, help="Where decoded images are kept.")
@click.option("--size", default=64, show_default=True, help="Pixels of a side of fruit.")
@click.option("--effort", default=1.0, show_default=True, help="Factor on all epochs.")
@click.option("--width", default=1.0, show_default=True, help="Factor on all channels.")
@click.option("--seeds", type=click.IntRange(2, PARTS), default=3, show_default=True)
def main(
    minutes: float, jobs: int, resume: bool, out: Path, chosen: tuple[str, ...], work: str, **scaling: Any
) -> None:
    """Measure what is missing, save each measurement at once, and say of each claim whether it holds."""
    scale = Scale(work=work, **scaling)
    studies = chosen or tuple(STUDIES)
    settings = {name: [repr(each) for each in study.settings] for name, study in STUDIES.items()}
    asked = asdict(scale)
    setup = {key: asked[key] for key in ("data", "group_by", "size", "effort", "width")}  # more seeds may follow
    ledger = Ledger("ablations", out, {**setup, "settings": settings}, partial(summary, scale=scale))
    ledger.open(resume)
    planned = [each for name in studies for each in STUDIES[name].measurements(scale)]
    measure_all(ledger, [each for _, each in sorted(planned, key=lambda planned: planned[0])], minutes, jobs)
    found = ledger.save()
    for name in STUDIES:
        rows = [row for row in found if row["study"] == name]
        click.echo(f"\n{STUDIES[name].paper}{_minutes_of(name, ledger, scale)}")
        for row in rows:
            click.echo(f"  {row['verdict']:30}{row['where']:12}{row['claim']}{_figures_of(row)}")
        if rows:
            plot(name, rows, ledger.figures, out.with_name(f"{out.stem}-{name}.png"))


def summary(figures: Mapping[str, Any], scale: Scale) -> list[dict[str, Any]]:
    """Return every study's claims."""
    return [{"study": name, **row} for name, study in STUDIES.items() for row in study.summarise(figures, scale)]


def _minutes_of(name: str, ledger: Ledger, scale: Scale) -> str:
    wanted = [each.name for _, each in STUDIES[name].measurements(scale)]
    done = [ledger.measurements[each]["seconds"] / 60 for each in wanted if each in ledger.measurements]
    if not done:
        return ""
    minutes = sum(done) / len(done) * len(wanted)
    return f": {len(done)} of {len(wanted)} measurements, about {minutes:.1f} minutes of a job in all"


def _figures_of(row: Mapping[str, Any]) -> str:
    p = "" if row["p"] is None else f", p = {row['p']:.2g}"
    if "difference" not in row:
        figures = ", ".join(f"{name} {value:.3g}" for name, value in row["figures"].items())
        return f": {figures} (n = {row['n']}{p})"
    sides = " against ".join(f"{row[side]['mean']:.3g} ± {row[side]['sd']:.2g}" for side in ("first", "second"))
    return f": {sides} (n = {row['n']}{p})"


def plot(name: str, rows: Sequence[Mapping[str, Any]], figures: Mapping[str, Any], path: Path) -> None:
    """Draw the differences in accuracy with their intervals, and what is particular to the study."""
    mpl.use("agg")
    from matplotlib import pyplot

    shown = [row for row in rows if row["unit"] == "accuracy"]
    sizes = {"width_ratios": (3, 2)}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(15, 1.5 + 0.5 * max(6, len(shown))), gridspec_kw=sizes)
    _forest(left, shown)
    STUDIES[name].draw(right, figures)
    figure.suptitle(f"{STUDIES[name].paper}; {rows[0]['scale']}", fontsize=10)
    figure.tight_layout()
    save_plot(figure, path, dpi=120)
    pyplot.close(figure)


def _forest(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for place, row in enumerate(rows):
        gap, colour = row["difference"], _COLOURS[row["verdict"]]
        axes.plot(100 * gap["mean"], place, "o", color=colour)
        if "low" in gap:
            axes.plot([100 * gap["low"], 100 * gap["high"]], [place, place], "-", color=colour)
    axes.axvline(0, color="k", linewidth=0.5)
    names = [f"{row['claim']} ({row['where']}, n = {row['n']})" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("difference in test accuracy, points, 95 % interval over seeds")
    for verdict, colour in _COLOURS.items():
        axes.plot([], [], "o", color=colour, label=verdict)
    axes.legend(fontsize=7)


if __name__ == "__main__":
    main()
