"""Kendall's τ of scores with bootstrap intervals over networks, and differences of two, paired by network."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lib.fidelity.networks import METRICS, PARTS

Values = NDArray[np.float64]
RESAMPLES = 4000
BASELINE = "accuracy"
"""The score to which all others are compared: the one that searches maximise."""
AGAIN = "another training"
"""The score of a network that is trained once more, with another seed: no score can be expected to do better."""


def tau(ours: Values, theirs: Values, counts: NDArray[np.int64]) -> Values:
    """Return Kendall's τ-b of two scores (N,), one for each way to weigh the networks, (B, N); 0 where one is constant.

    A network that counts twice makes no pair with itself, so that resampling makes no ties.
    """
    first, second = (np.sign(values[:, None] - values[None, :]) for values in (ours, theirs))

    def summed(pairs: Values) -> Values:
        total: Values = np.einsum("bi,ij,bj->b", counts, pairs, counts, optimize=True)
        return total

    norm = np.sqrt(summed(np.abs(first)) * summed(np.abs(second)))
    return np.divide(summed(first * second), norm, out=np.zeros_like(norm), where=norm > 0)


def mean_tau(ours: Sequence[Values], theirs: Sequence[Values], counts: NDArray[np.int64]) -> Values:
    """Return the mean τ over pairs of scores, (B,)."""
    found: Values = np.mean([tau(one, other, counts) for one, other in zip(ours, theirs, strict=True)], axis=0)
    return found


def summarise(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each space, part, truth and score.

    figures: by "SPACE/shared PATHS/SEED" and "SPACE/own NETWORK/SEED".
    """
    return [row for kind in dict.fromkeys(name.split("/")[0] for name in figures) for row in _rows(kind, figures)]


def _rows(kind: str, figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    own = _by_seed(kind, "own ", figures)
    seeds = sorted(set.intersection(*map(set, own.values()))) if own else []
    shared = _by_seed(kind, "shared ", figures)
    if not seeds or len(own) < 3:
        return
    networks = sorted(own, key=int)
    places = [int(network) for network in networks]
    drawn = np.random.default_rng(0).integers(len(networks), size=(RESAMPLES, len(networks)))
    counts = np.stack([np.bincount(each, minlength=len(networks)) for each in drawn])
    counts = np.vstack([np.ones(len(networks), dtype=np.int64), counts])  # the first row is no resample
    for part in PARTS:
        for metric in METRICS:
            trainings = [
                _better(metric) * np.array([own[network][seed][part][metric] for network in networks]) for seed in seeds
            ]
            truth = np.mean(trainings, axis=0)
            where = {"space": kind, "part": part, "truth": metric, "networks": len(networks), "trainings": len(seeds)}
            pairs = list(combinations(trainings, 2))
            if pairs:
                again = mean_tau([one for one, _ in pairs], [other for _, other in pairs], counts)
                yield {**where, "paths": "", "score": AGAIN, "super_nets": 0, **_interval("tau", again)}
            for paths, nets in shared.items():
                taus = {
                    score: mean_tau(
                        [_better(score) * np.array(each[score])[places] for each in nets.values()],
                        [truth] * len(nets),
                        counts,
                    )
                    for score in (*METRICS, "macs")
                }
                for score, found in taus.items():
                    row = {**where, "paths": paths, "score": score, "super_nets": len(nets), **_interval("tau", found)}
                    if score != BASELINE:
                        row |= _interval("gain", found - taus[BASELINE])
                    yield row


def _by_seed(kind: str, start: str, figures: Mapping[str, Any]) -> dict[str, dict[int, Any]]:
    found: dict[str, dict[int, Any]] = {}
    for name, each in figures.items():
        space, what, seed = name.split("/")
        if space == kind and what.startswith(start):
            found.setdefault(what.removeprefix(start), {})[int(seed)] = each
    return found


def _better(score: str) -> float:
    """Return the sign with which more of a score means a better network."""
    return -1.0 if score == "cross_entropy" else 1.0


def _interval(name: str, values: Values) -> dict[str, float]:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
