"""What is shown of the ideas: a table and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure

from mango_grader.report.figures import percent


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    click.echo(
        f"{'idea':34}{'folds':>6}{'validation':>12}{'test, pooled':>22}{'M MACs':>8}{'k params':>10}  gain on plain"
    )
    for row in rows:
        at, last, gain = row["pooled"], row["exits"][-1], row["gain"]
        interval = f"{100 * at['value']:.1f} ({100 * at['low']:.1f} to {100 * at['high']:.1f})"
        told = f"{100 * gain['value']:+.1f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})" if gain else ""
        click.echo(
            f"{row['name']:34}{row['runs']:6}{100 * last['validation']['mean']:12.1f}{interval:>22}"
            f"{last['macs']['mean'] / 1e6:8.1f}{last['params']['mean'] / 1e3:10.0f}  {told}"
        )


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw each idea's pooled test accuracy with its interval over groups, the best on top."""
    figure = Figure(figsize=(9, 1.2 + 0.4 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(reversed(rows)):
        at = row["pooled"]
        axis.errorbar(
            at["value"], place, xerr=[[at["value"] - at["low"]], [at["high"] - at["value"]]], fmt="o", color="C0"
        )
        axis.plot(row["exits"][-1]["validation"]["mean"], place, marker="|", ms=12, color="C1")
    names = [
        f"{row['name']} ({row['runs']} folds, {row['exits'][-1]['macs']['mean'] / 1e6:.0f} M MACs)" for row in rows
    ]
    axis.set_yticks(range(len(rows)), names[::-1])
    axis.xaxis.set_major_formatter(percent())
    figure.supxlabel(
        "accuracy of the last exit: test with its 95 % interval over groups (dot), validation (bar)", fontsize=10
    )
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
