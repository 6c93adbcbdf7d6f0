"""What ideas gain on the plain recipe, which of them are measured beyond the first fold, and their table and plot."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.lib.compared import outcomes_of, summary
from benchmarks.lib.gap.ideas import PLAIN
from benchmarks.lib.plots import draw_intervals
from mango_grader.workflow.comparison.outcomes import Outcome
from mango_grader.workflow.comparison.ranking import difference_between

HOPELESS = -0.05
"""A gain on the first fold's validation images; between folds, gains differ by 1 to 4 points (sd)."""


def gains(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where the ideas stand, and what each gains on the plain recipe on the folds that both have.

    Ideas on more folds come first; of equally many, the one that gains most on validation images.
    """
    outcomes = outcomes_of(figures)
    rows = [row | {"gain": gain_on_plain(row["name"], outcomes)} for row in summary(figures)]
    return sorted(rows, key=lambda row: (-row["runs"], -row["gain"]["validation"] if row["gain"] else 0.0))


def gain_on_plain(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Return what the last exit gains on test, paired by images, and on validation; None without a common fold."""
    found = None if name == PLAIN else difference_between(name, PLAIN, outcomes)
    if found is None:
        return None
    own, plain = validated(name, outcomes), validated(PLAIN, outcomes)
    return asdict(found.difference) | {"n": found.images, "validation": _mean_gain(own, plain)}


def is_hopeless(name: str, figures: Mapping[str, Any]) -> bool:
    """Return whether the idea loses too much on the first fold's validation images to be followed further."""
    first = (f"{name}/1", f"{PLAIN}/1")
    outcomes = outcomes_of({each: figures[each] for each in first if each in figures})
    own, plain = validated(name, outcomes), validated(PLAIN, outcomes)
    return own.keys() == plain.keys() == {1} and _mean_gain(own, plain) < HOPELESS


def validated(name: str, outcomes: Sequence[Outcome]) -> dict[int, float]:
    """Return the last exit's accuracy on validation images, by fold."""
    mine = (each for each in outcomes if each.entry == name)
    return {each.repeat: each.figures.exits[-1].validation for each in mine if each.figures}


def _mean_gain(own: Mapping[int, float], plain: Mapping[int, float]) -> float:
    return float(np.mean([own[fold] - plain[fold] for fold in own.keys() & plain.keys()]))


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each idea."""
    click.echo(
        f"{'idea':42}{'folds':>6}{'validation':>12}{'test, pooled':>22}{'M MACs':>8}{'k params':>10}"
        "  gain on plain: validation, test"
    )
    for row in rows:
        at, last, gain = row["pooled"], row["exits"][-1], row["gain"]
        interval = f"{100 * at['value']:.1f} ({100 * at['low']:.1f} to {100 * at['high']:.1f})"
        in_points = {key: 100 * gain[key] for key in ("value", "low", "high", "validation")} if gain else {}
        gained = "{validation:+.1f}, {value:+.1f} ({low:+.1f} to {high:+.1f})".format(**in_points) if gain else ""
        click.echo(
            f"{row['name']:42}{row['runs']:6}{100 * last['validation']['mean']:12.1f}{interval:>22}"
            f"{last['macs']['mean'] / 1e6:8.1f}{last['params']['mean'] / 1e3:10.0f}  {gained}"
        )


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw what each idea gains on the plain recipe: on test with its interval over groups, and on validation."""
    gaining = [row for row in rows if row["gain"]]
    names = [f"{row['name']} ({row['runs']} fold{'s' * (row['runs'] > 1)})" for row in gaining]
    label = (
        "gain on the plain recipe, last exit, points: test with its 95 % interval over groups (dot), validation (bar)"
    )
    draw_intervals(names, [row["gain"] for row in gaining], label, path)
