"""From figures by seed to a verdict on a claim: holds, does not, or cannot be told at this scale."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from mango_grader.training.bootstrap import paired_difference

Row = dict[str, Any]
Nets = Mapping[str, Mapping[int, Mapping[str, Any]]]

BETTER = (0.0, math.inf)
WORSE = (-math.inf, 0.0)
ALIKE = (-0.02, 0.02)
"""Differences that a claim allows; two points either way are taken as no difference."""


@dataclass(frozen=True)
class Claim:
    """Of a paper: `first` minus `second`, in test accuracy, lies within `allowed`. where: figure or table."""

    text: str
    where: str
    first: str
    second: str
    allowed: tuple[float, float] = BETTER


def nets_of(figures: Mapping[str, Any], study: str) -> Nets:
    """Gather the networks that a study trained, by arm and seed; measurements are called study/part/seed."""
    nets: dict[str, dict[int, Any]] = defaultdict(dict)
    for name, found in figures.items():
        kind, _, seed = name.split("/")
        if kind == study:
            for arm, trained in found["nets"].items():
                nets[arm][int(seed)] = trained
    return nets


def claim_rows(claims: Sequence[Claim], nets: Nets, scale: str) -> list[Row]:
    """Return a row for each claim of which at least two seeds are there."""
    rows = []
    for claim in claims:
        first, second = nets.get(claim.first, {}), nets.get(claim.second, {})
        seeds = sorted(set(first) & set(second))
        if len(seeds) > 1:
            values = [(first[seed]["accuracy"][-1], second[seed]["accuracy"][-1]) for seed in seeds]
            row = paired_row(claim.text, claim.where, values, claim.allowed, scale, (claim.first, claim.second))
            for side, nets_by_seed in (("first", first), ("second", second)):  # nobody takes a cheaper net for a worse
                row[side]["macs"] = spread_of([nets_by_seed[seed]["macs"][-1] for seed in seeds])
            rows.append(row | {"images": by_image([(first[seed], second[seed]) for seed in seeds])})
    return rows


def paired_row(
    text: str,
    where: str,
    values: Sequence[tuple[float, float]],
    allowed: tuple[float, float],
    scale: str,
    sides: tuple[str, str],
    unit: str = "accuracy",
) -> Row:
    """Return a row for pairs by seed. low, high: Student's 95 % interval of their difference; p: of no difference.

    The seed is the unit: it changes images, search and training alike.
    """
    first, second = np.array(values, dtype=float).T
    delta = first - second
    spread = float(delta.std(ddof=1))
    reach = float(student.ppf(0.975, len(delta) - 1)) * spread / math.sqrt(len(delta))
    low, high = float(delta.mean()) - reach, float(delta.mean()) + reach
    return {
        "claim": text,
        "where": where,
        "scale": scale,
        "unit": unit,
        "n": len(delta),
        "first": {"arm": sides[0], **spread_of(first)},
        "second": {"arm": sides[1], **spread_of(second)},
        "difference": {"mean": delta.mean(), "sd": spread, "low": low, "high": high},
        "test": "paired t over seeds",
        "p": float(ttest_1samp(delta, 0.0).pvalue) if spread else None,
        "verdict": verdict(low, high, allowed),
    }


def by_image(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Row:
    """Return the paired bootstrap over groups of all seeds' test images, for these very networks."""
    first, second, groups = [], [], []
    for part, (one, other) in enumerate(pairs):
        first += [int(answer) for answer in one["correct"]]
        second += [int(answer) for answer in other["correct"]]
        own = one["groups"].split() or range(len(one["correct"]))
        groups += [f"{part}/{group}" for group in own]
    return {"n": len(groups), **asdict(paired_difference(np.array(first), np.array(second), groups, seed=0))}


def spread_of(values: Sequence[float] | np.ndarray) -> Row:
    """Return n, mean and sd (ddof 1)."""
    array = np.asarray(values, dtype=float)
    return {"n": len(array), "mean": array.mean(), "sd": array.std(ddof=1) if len(array) > 1 else None}


def verdict(low: float, high: float, allowed: tuple[float, float]) -> str:
    """Hold a 95 % interval against what a claim allows."""
    if allowed[0] < low and high < allowed[1]:
        return "holds"
    return "does not hold" if high < allowed[0] or low > allowed[1] else "cannot be told at this scale"
