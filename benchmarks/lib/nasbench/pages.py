"""The replays as a table on the terminal and as an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.lib.nasbench.table import DATA
from benchmarks.lib.plots import save_plot

tab20 = colormaps["tab20"]
Rows = Sequence[Mapping[str, Any]]


def _name(row: Mapping[str, Any]) -> str:
    return row["method"] if row["choice"] == "best" else f"{row['method']}, {row['choice']}"


def print_table(rows: Rows, queries: Sequence[int]) -> None:
    """Print test accuracies in percent; a star: better than random at the same queries with p < 0.05."""
    click.echo(f"{'method':30}{'data':12}{'n':>5}" + "".join(f"{count:>16}" for count in queries))
    for row in rows:
        random = next((r for r in rows if r["method"] == "random" and r["data"] == row["data"]), row)
        parts = []
        for count in map(str, queries):
            own, p = row["test"][count], row["p_against_random"][count]
            star = "*" if p is not None and p < 0.05 and own["mean"] > random["test"][count]["mean"] else " "
            parts.append(f"{own['mean']:9.2f} ±{own['sd']:5.2f}{star}")
        click.echo(f"{_name(row):30}{row['data']:12}{row['n']:5}" + "".join(parts))


def draw(rows: Rows, queries: Sequence[int], draws: Sequence[int], path: Path) -> None:
    """Draw accuracy against queries, and below it what draws of the learned distributions are worth on average."""
    figure = Figure(figsize=(16, 9), layout="constrained")
    axes = figure.subplots(2, len(DATA))
    names = list(dict.fromkeys(_name(row) for row in rows))
    colours = {name: tab20(place / 20) for place, name in enumerate(names)}
    for column, data in enumerate(DATA):
        top, bottom = axes[0][column], axes[1][column]
        for row in (row for row in rows if row["data"] == data):
            name, n = _name(row), row["n"]
            _line(top, queries, [row["test"][str(count)] for count in queries], n, colours[name], name)
            if "mean_of_draws" in row:
                _line(bottom, draws, [row["mean_of_draws"][str(count)] for count in draws], n, colours[name])
            found = next(iter(row["kept"].values()))["mean"]
            bottom.plot([draws[-1] * 1.25], [found], marker="_", color=colours[name], ms=14, mew=2)
        top.set(title=f"{data}: best validated so far", xlabel="queries")
        bottom.set(title=f"{data}: mean of draws; right: 30 best finds", xlabel="draws after 500 queries")
        for axis, ticks in ((top, queries), (bottom, draws)):
            axis.set_xscale("log")
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    for axis in (axes[0][0], axes[1][0]):
        axis.set_ylabel("test accuracy after 200 epochs, %")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    figure.suptitle("NAS-Bench-201, mean over seeds; bars: standard error")
    save_plot(figure, path, dpi=80)


def _line(
    axis: Axes, counts: Sequence[int], values: Sequence[Mapping[str, float]], n: int, colour: Any, name: str = ""
) -> None:
    errors = [value["sd"] / n**0.5 for value in values]
    label = f"{name} (n = {n})" if name else None
    axis.errorbar(counts, [value["mean"] for value in values], errors, color=colour, lw=1.4, label=label)
