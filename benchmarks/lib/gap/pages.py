"""What is shown of the ideas: a table and a plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.lib.plots import draw_intervals


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
