"""What the measurements of peers.py say together: figures pooled over folds, a table and a plot."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from benchmarks.lib.plots import save_plot
from mango_grader.training.bootstrap import GroupBootstrap, paired_difference

OURS = "searched"

Found = Mapping[int, Mapping[str, Any]]  # fold → a measurement's figures
Groups = Mapping[int, Sequence[str]]  # fold → the group of each of its test images


def measurement_name(peer: str, fold: int) -> str:
    return f"{peer}/fold {fold}"


def latency_name(peer: str, fold: int) -> str:
    return f"{measurement_name(peer, fold)}/latency"


def summary(
    peers: Sequence[str], missing: Sequence[str], groups: Groups, figures: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return one row a peer over the folds that are done, and one for each that is not installed."""
    found = {
        peer: {
            fold: {**figures[name], "latency_ms": figures.get(latency_name(peer, fold))}
            for fold in groups
            if (name := measurement_name(peer, fold)) in figures
        }
        for peer in peers
    }
    rows: list[dict[str, Any]] = []
    for peer in peers:
        if found[peer]:
            against = None if peer == OURS else versus(found[OURS], found[peer], groups)
            rows.append({"peer": peer, "status": "measured", **pooled(found[peer], groups), "ours_minus_it": against})
        elif peer in missing:
            rows.append({"peer": peer, "status": "not installed"})
    return rows


def correct(found: Found, folds: Sequence[int]) -> NDArray[np.bool_]:
    """Return whether each exit is correct on each test image, (exits, N)."""
    return np.concatenate(
        [np.array([[one == "1" for one in answers] for answers in found[fold]["correct"]]) for fold in folds], axis=1
    )


def joined(groups: Groups, folds: Sequence[int]) -> list[str]:
    return [f"{fold}/{group}" for fold in folds for group in groups[fold]]


def pooled(found: Found, groups: Groups) -> dict[str, Any]:
    """Return one peer's figures; accuracies with their 95 % interval over groups, costs as means over folds."""
    folds = list(found)
    bootstrap = GroupBootstrap(joined(groups, folds), seed=0)
    last = [float(correct(found, [fold])[-1].mean()) for fold in folds]
    train_s = [each["train_s"] for each in found.values()]
    timed = [each["latency_ms"] for each in found.values() if each["latency_ms"] is not None]
    costs = {name: [each[name] for each in found.values()] for name in ("params", "macs")} | {"latency_ms": timed}

    def accuracy(answers: NDArray[np.bool_]) -> dict[str, Any]:
        counted = np.stack([answers, np.ones_like(answers)], axis=1)
        return asdict(bootstrap.estimate(counted, lambda sums: sums[:, 0] / sums[:, 1]))

    return {
        "folds": folds,
        "n": bootstrap.items,
        "groups": bootstrap.groups,
        "accuracy_by_fold": {"mean": np.mean(last), "sd": np.std(last, ddof=1) if len(last) > 1 else None},
        "train_s": {"mean": np.mean(train_s), "sd": np.std(train_s, ddof=1) if len(last) > 1 else None},
        "exits": [
            {"accuracy": accuracy(answers), **{name: _mean(rows, number) for name, rows in costs.items()}}
            for number, answers in enumerate(correct(found, folds))
        ],
    }


def _mean(rows: Sequence[Sequence[float]], number: int) -> float | None:
    return float(np.mean([row[number] for row in rows])) if rows else None


def versus(ours: Found, theirs: Found, groups: Groups) -> dict[str, Any] | None:
    """Compare last exits on the folds that both have done, ours minus theirs; None where there is none."""
    folds = [fold for fold in theirs if fold in ours]
    if not folds:
        return None
    gap = paired_difference(correct(ours, folds)[-1], correct(theirs, folds)[-1], joined(groups, folds), seed=0)
    return {"folds": folds, **asdict(gap)}


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print one line a row."""
    for row in rows:
        if row["status"] != "measured":
            click.echo(f"{row['peer']:20}{row['status']}")
            continue
        last, against = row["exits"][-1], row["ours_minus_it"]
        gap = "" if against is None else f"  ours {100 * against['value']:+.1f} points, p {against['p']}"
        latency = "not timed" if last["latency_ms"] is None else f"{last['latency_ms']:.2f} ms"
        low, high = (100 * (last["accuracy"][side] or np.nan) for side in ("low", "high"))
        click.echo(
            f"{row['peer']:20}{100 * last['accuracy']['value']:5.1f} % ({low:.1f} to {high:.1f}, n {row['n']}, "
            f"{len(row['folds'])} folds)  {last['params'] / 1e6:.2f} M params  {last['macs'] / 1e6:.1f} M MACs  "
            f"{row['train_s']['mean']:.0f} s  {latency}{gap}"
        )


def draw(rows: Sequence[Mapping[str, Any]], size: int, path: Path) -> None:
    """Draw pooled accuracy against multiply-accumulates, every exit of every peer."""
    measured = [row for row in rows if row["status"] == "measured"]
    figure, axis = plt.subplots(figsize=(9, 7), layout="constrained")
    for row, marker in zip(measured, "osD^vP*X<>hd", strict=False):
        found = [each["accuracy"] for each in row["exits"]]
        value, low, high = (
            100 * np.array([each[name] for each in found], np.float64) for name in ("value", "low", "high")
        )
        label = f"{row['peer']} ({row['exits'][-1]['params'] / 1e6:.2f} M parameters, n = {row['n']})"
        macs = [each["macs"] for each in row["exits"]]
        axis.errorbar(macs, value, (value - low, high - value), marker=marker, capsize=2, alpha=0.85, label=label)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(EngFormatter())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(f"multiply-accumulates for one image of {size}×{size} pixels")
    axis.set_ylabel("test accuracy in %, pooled over folds, 95 % interval over groups")
    axis.grid(alpha=0.3)
    if measured:
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    save_plot(figure, path, dpi=150)
    plt.close(figure)
