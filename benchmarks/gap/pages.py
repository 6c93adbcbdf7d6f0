"""What is shown of the ideas: a table and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    click.echo(
        f"{'idea':42}{'folds':>6}{'validation':>12}{'test, pooled':>22}{'M MACs':>8}{'k params':>10}"
        "  gain on plain: validation, test"
    )
    for row in rows:
        at, last, gain = row["pooled"], row["exits"][-1], row["gain"]
        interval = f"{100 * at['value']:.1f} ({100 * at['low']:.1f} to {100 * at['high']:.1f})"
        in_points = {key: 100 * gain[key] for key in ("value", "low", "high", "validation")} if gain else {}
        told = "{validation:+.1f}, {value:+.1f} ({low:+.1f} to {high:+.1f})".format(**in_points) if gain else ""
        click.echo(
            f"{row['name']:42}{row['runs']:6}{100 * last['validation']['mean']:12.1f}{interval:>22}"
            f"{last['macs']['mean'] / 1e6:8.1f}{last['params']['mean'] / 1e3:10.0f}  {told}"
        )


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw what each idea gains on the plain recipe: on test with its interval over groups, and on validation."""
    gaining = [row for row in rows if row["gain"]]
    names = [f"{row['name']} ({row['runs']} fold{'s' * (row['runs'] > 1)})" for row in gaining]
    label = (
        "gain on the plain recipe, last exit, points: test with its 95 % interval over groups (dot), validation (bar)"
    )
    draw_intervals(names, [row["gain"] for row in gaining], label, path)


def draw_intervals(names: Sequence[str], found: Sequence[Mapping[str, Any]], label: str, path: Path) -> None:
    """Draw a line for each name from the top: its value with low and high, and a bar at validation where there is one.

    Values are shares, drawn as points; `label` says what they are.
    """
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(names)), layout="constrained")
    axis = figure.subplots()
    for place, shares in enumerate(reversed(found)):
        each = {key: 100 * shares[key] for key in ("value", "low", "high")}
        reach = [[each["value"] - each["low"]], [each["high"] - each["value"]]]
        axis.errorbar(each["value"], place, xerr=reach, fmt="o", color="C0")
        if "validation" in shares:
            axis.plot(100 * shares["validation"], place, marker="|", ms=12, mew=2, color="C1")
    if any(shares["low"] <= 0 for shares in found):
        axis.axvline(0, color="0.5", zorder=0)
    axis.set_yticks(range(len(names)), names[::-1])
    figure.supxlabel(label, fontsize=10)
    axis.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110)
