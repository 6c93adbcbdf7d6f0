"""How much is there to find? Random networks of a space, each trained with several seeds, on the same images.

A search can gain no more than networks differ. If seeds differ as much, a search that trains each candidate once, or
not at all, cannot know which network is the better one, and comparing searches by one training each says little.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import f_oneway

from benchmarks.lib.measurements import Measurement
from benchmarks.lib.studies.claims import nets_of
from benchmarks.lib.studies.data import Fruit, Source
from benchmarks.lib.studies.frame import Bench, Figures, Scale, Study
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import Limits, fitted
from mango_grader.automl.search_space import SearchSpace
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets import PRESETS

_KINDS = ("multiscale", "dag")  # the space of all comparisons, and the default one
_NETWORKS = 6
_LIMITS = Limits(max_params=350_000)
_PIXELS, _RECIPE = 128, TrainRecipe(epochs=25)  # what methods_on_mangoes.py gives in its four minutes
_PART = 0  # seeds vary the training alone


def measure(kind: str, network: int, seed: int, scale: Scale) -> dict[str, Any]:
    """Draw a network within the limits, and train it."""
    bench = Bench.of(scale, source_of(scale), seed, part=_PART)
    shape = bench.data.preprocess
    drawn = feasible_draw(bench.space(PRESETS["quick"].space(kind, shape.height, shape.width)), network)
    return {"nets": {f"{kind} {network}": bench.train(bench.final(drawn), _RECIPE)}}


def source_of(scale: Scale) -> Source:
    """Return the mangoes at the size at which searches see them; other fruit at the size asked for."""
    source = scale.mangoes()
    return replace(source, size=_PIXELS) if scale.data is None and isinstance(source, Fruit) else source


def feasible_draw(space: SearchSpace, network: int) -> Architecture:
    """Return the feasible random architecture of that number, the space narrowed to the limits as in a run."""
    narrow, rng = SearchSpace(fitted(space.config, _LIMITS)), np.random.default_rng(network)
    while not _LIMITS.feasible(narrow, drawn := narrow.sample(rng)):
        pass
    return drawn


def measurements(scale: Scale) -> list[tuple[int, Measurement]]:
    """One for each training."""
    return [
        (seed, Measurement(f"room/{kind} {network}/{seed}", partial(measure, kind, network, seed, scale)))
        for seed in range(scale.seeds)
        for kind in _KINDS
        for network in range(_NETWORKS)
    ]


def by_network(figures: Figures, kind: str) -> list[list[float]]:
    """Return each network's test accuracies over the seeds that all of them have."""
    nets = {name: found for name, found in nets_of(figures, "room").items() if name.startswith(f"{kind} ")}
    common = sorted(set.intersection(*(set(found) for found in nets.values()))) if nets else []
    return [[found[seed]["accuracy"][-1] for seed in common] for found in nets.values()]


def components(accuracies: list[list[float]]) -> Mapping[str, float]:
    """Return the standard deviations of networks and of seeds, by one-way analysis of variance with random effects."""
    values = np.array(accuracies)
    within = float(values.var(axis=1, ddof=1).mean())
    between = max(0.0, float(values.mean(axis=1).var(ddof=1)) - within / values.shape[1])
    return {"sd of networks": between**0.5, "sd of seeds": within**0.5, "mean": float(values.mean())}


def summarise(figures: Figures, scale: Scale) -> list[dict[str, Any]]:
    """Return whether the networks of each space differ by more than their seeds."""
    rows = []
    for kind in _KINDS:
        accuracies = by_network(figures, kind)
        if len(accuracies) < 2 or len(accuracies[0]) < 2:
            continue
        spread = components(accuracies)
        p = float(f_oneway(*accuracies).pvalue) if spread["sd of seeds"] else None
        rows.append(
            {
                "claim": f"networks of {kind} differ by more than their seeds",
                "where": "control",
                "scale": f"{source_of(scale)}, here all on the first; {_RECIPE.epochs} epochs at {scale}",
                "unit": "accuracy of networks and seeds",
                "n": len(accuracies),
                "figures": {**spread, "seeds": len(accuracies[0])},
                "test": "F over networks",
                "p": p,
                "verdict": "holds" if p is not None and p < 0.05 else "cannot be told at this scale",
            }
        )
    return rows


def draw(axes: Axes, figures: Figures) -> None:
    """Plot every training, a column a network."""
    for place, kind in enumerate(_KINDS):
        for network, found in enumerate(by_network(figures, kind)):
            axes.plot([network + (_NETWORKS + 1) * place] * len(found), 100 * np.array(found), f"oC{place}", alpha=0.7)
        axes.plot([], [], f"oC{place}", label=kind)
    axes.set(xticks=[], xlabel="a column: one network, a point each training", ylabel="test accuracy, %")
    axes.legend(fontsize=7)


ROOM = Study("How much there is to find", (_KINDS, _NETWORKS, _LIMITS, _PIXELS, _RECIPE), measurements, summarise, draw)
