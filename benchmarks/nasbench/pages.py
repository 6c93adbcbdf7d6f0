"""The replays as a table on the terminal and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nasbench.table import DATA

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
    figure = Figure(figsize=(15, 9), layout="constrained")
    axes = figure.subplots(2, len(DATA))
    for column, data in enumerate(DATA):
        mine = [row for row in rows if row["data"] == data]
        top, bottom = axes[0][column], axes[1][column]
        for number, row in enumerate(mine):
            values = [row["test"][str(count)] for count in queries]
            _line(top, number, queries, values, _name(row), row["n"])
            if "mean_of_draws" in row:
                _line(bottom, number, draws, [row["mean_of_draws"][str(c)] for c in draws], row["method"], row["n"])
                bottom.plot([draws[-1] * 1.15], [row["kept"]["30"]["mean"]], marker="_", color=f"C{number % 10}", ms=12)
        top.set_title(f"{data}: best validated so far", loc="left")
        bottom.set_title(f"{data}: mean of draws afterwards; at the right edge, the 30 best found", loc="left")
        top.set_xlabel("queries")
        bottom.set_xlabel("draws")
        for axis, ticks in ((top, queries), (bottom, draws)):
            axis.set_xscale("log")
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            axis.set_ylabel("test accuracy after 200 epochs, %")
    axes[0][-1].legend(loc="lower right", fontsize=7)
    axes[1][-1].legend(loc="lower right", fontsize=7)
    figure.suptitle("NAS-Bench-201, mean over seeds; bars: standard error")
    figure.savefig(path, dpi=80)


def _line(
    axis: Axes, number: int, counts: Sequence[int], values: Sequence[Mapping[str, float]], name: str, n: int
) -> None:
    style = "-" if number < 10 else "--"
    errors = [value["sd"] / n**0.5 for value in values]
    axis.errorbar(counts, [value["mean"] for value in values], errors, label=f"{name} (n={n})", ls=style, lw=1.2)
