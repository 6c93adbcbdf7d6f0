"""DSO-NAS (Zhang et al., §4.4): what splitting, pre-training, step ratio and budgets do to sparse search.

As in the paper, every result is widened or narrowed to the same MACs before it is trained. All searches take some 250
steps on weights and factors together, and all prune down to 40 % of the MACs, so that what differs is not how sparse
they are; `macs_kept` says how much each kept.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.lib.studies.claims import ALIKE, WORSE, Claim, claim_rows, nets_of, paired_row, spread_of
from benchmarks.lib.studies.frame import Bench, Figures, Scale, Study, each_arm
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import GraphCost, memory_accesses
from mango_grader.automl.limits import Limits, widest
from mango_grader.automl.methods import Dso, DsoSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import DagConfig
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets.quick import SHARED_ADAMW

_FULL = DagConfig(
    32, 32, classes=2, channels=16, stages=(1, 2), levels=3, stem_stride=2, exits=(1, 3), share=False
)  # fmt: skip
_SHARE = replace(_FULL, share=True)
_BUDGET = 0.4  # of the complete graph's MACs: about what the published pruning leaves
_BASE = DsoSettings(
    pretrain=2,
    epochs=4,
    gamma=None,
    keep=_BUDGET,
    lr=0.2,
    clip=0.1,
    weights=replace(SHARED_ADAMW, frozen_scale=True),
)
_RECIPE = TrainRecipe(epochs=8)
_DRAWS = 64

# Without a split an epoch has twice the steps; at 4:1 it has 1.6 times the weight steps, and a quarter as many others.
SEARCHES: Mapping[str, tuple[DagConfig, DsoSettings]] = {
    "full": (_FULL, _BASE),
    "full, no split": (_FULL, replace(_BASE, held_out=0.0, pretrain=1, epochs=2)),
    "full, no pre-training": (_FULL, replace(_BASE, pretrain=0, epochs=5)),
    "full, 4:1": (_FULL, replace(_BASE, held_out=0.2, ratio=4, pretrain=1)),
    "full, not adaptive": (_FULL, replace(_BASE, adaptive="none")),
    "full, Adaptive MAC": (_FULL, replace(_BASE, adaptive="memory")),
    "share": (_SHARE, _BASE),
}
RIVALS = {"full": "random full", "share": "random share"}
CLAIMS = (
    Claim("splitting the data helps", "Table 3", "full", "full, no split"),
    Claim("pre-training helps", "Table 3", "full", "full, no pre-training"),
    Claim("the ratio of weight and structure steps hardly matters", "Table 3", "full", "full, 4:1", ALIKE),
    Claim("beats random pruning (full)", "Table 1", "full", "random full"),
    Claim("beats random pruning (share)", "Table 1", "share", "random share"),
    Claim("one structure for all blocks beats one for each", "Table 3", "share", "full"),
    Claim("Adaptive FLOPs help", "Fig 5", "full", "full, not adaptive"),
    Claim("Adaptive MAC helps", "Fig 6", "full, Adaptive MAC", "full, not adaptive"),
)


def measure(arm: str, seed: int, scale: Scale) -> dict[str, Any]:
    """Search, fit the width, train; beside it, where the plan has one, a random pruning of equally many MACs."""
    bench = Bench.of(scale, scale.cifar10(), seed)
    config, settings = SEARCHES[arm]
    space = bench.space(config)
    limits = Limits(max_macs=round(_BUDGET * complete(space)))
    pruned, _ = bench.search(Dso, space, scale.lasting(settings))
    found = widest(pruned, limits)
    nets = {arm: found}
    if arm in RIVALS:
        nets[RIVALS[arm]] = random_of_equal_macs(space, pruned, limits, np.random.default_rng(seed))
    return {
        "nets": {name: bench.train(bench.final(each), _RECIPE) for name, each in nets.items()},
        "kept": share_kept(space, pruned),
        "macs_kept": _macs(pruned) / complete(space),
        "emptied_blocks": sum(config.stages) - len(_blocks_of(pruned)),
        "memory": {name: memory(each) for name, each in nets.items()},
    }


def complete(space: SearchSpace) -> int:
    """Return the MACs of the graph of which nothing is pruned."""
    return int(space.graph.derive({d.name: d.candidates for d in space.decisions}).macs()[-1])


def _macs(architecture: Architecture) -> int:
    return int(SearchSpace(architecture.space).derive(architecture).macs()[-1])


def _blocks_of(architecture: Architecture) -> set[str]:
    spec = SearchSpace(architecture.space).derive(architecture)
    return {node.name.split("/")[0] for node in spec.nodes if node.name.endswith("/norm") and "block" in node.name}


def memory(architecture: Architecture) -> float:
    """Return how many numbers the network reads and writes for one image."""
    return float(GraphCost(SearchSpace(architecture.space), "numbers", memory_accesses).exact(architecture)[-1])


def share_kept(space: SearchSpace, pruned: Architecture) -> float:
    """Return the share of connections that are left."""
    return sum(map(len, pruned.choices.values())) / sum(len(d.candidates) for d in space.decisions)


def random_of_equal_macs(
    space: SearchSpace, pruned: Architecture, limits: Limits, rng: np.random.Generator
) -> Architecture:
    """Return a random pruning that keeps each connection as often as `pruned`, its width fitted to the same limit.

    Of several, it is the one whose MACs come nearest to those of `pruned` at the width that fits.
    """
    target, share = _macs(widest(pruned, limits)), share_kept(space, pruned)
    drawn = [widest(randomly_pruned(space, share, rng), limits) for _ in range(_DRAWS)]
    return min(drawn, key=lambda each: abs(_macs(each) - target))


def randomly_pruned(space: SearchSpace, share: float, rng: np.random.Generator) -> Architecture:
    """Return an architecture that keeps each candidate with probability `share`."""
    return space.nearest({d.name: share - rng.random(len(d.candidates)) for d in space.decisions})


def summarise(figures: Figures, scale: Scale) -> list[dict[str, Any]]:
    """Return the claims on accuracy at equal MACs, and what the two adaptive penalties do to blocks and memory."""
    nets, text = nets_of(figures, "dso"), f"{scale.cifar10()}; {_RECIPE.epochs} epochs at {scale}"
    rows = claim_rows(CLAIMS, nets, text)
    for row in rows:
        for side in ("first", "second"):
            if kept := [found["macs_kept"] for found in _measured(figures, row[side]["arm"])]:
                row[side]["macs_kept"] = spread_of(kept)
    emptied = _pairs(figures, "full", "full, not adaptive", lambda found, arm: found["emptied_blocks"])
    if len(emptied) > 1:
        claim, sides = "Adaptive FLOPs keep blocks from being pruned whole", ("full", "full, not adaptive")
        rows.append(paired_row(claim, "Fig 5a", emptied, WORSE, text, sides, "emptied blocks"))
    moved = _pairs(figures, "full, Adaptive MAC", "full, not adaptive", lambda found, arm: np.log(found["memory"][arm]))
    if len(moved) > 1:
        claim, sides = "Adaptive MAC lowers memory accesses", ("full, Adaptive MAC", "full, not adaptive")
        rows.append(paired_row(claim, "Fig 6", moved, WORSE, text, sides, "log numbers read and written"))
    return rows


def _measured(figures: Figures, arm: str) -> list[Any]:
    return [found for name, found in figures.items() if name.startswith(f"dso/{arm}/")]


def _pairs(figures: Figures, first: str, second: str, figure: Any) -> list[tuple[float, float]]:
    seeds = {name.rpartition("/")[2] for name in figures if name.startswith(f"dso/{first}/")}
    both = [seed for seed in sorted(seeds) if f"dso/{second}/{seed}" in figures]
    return [(figure(figures[f"dso/{first}/{s}"], first), figure(figures[f"dso/{second}/{s}"], second)) for s in both]


def draw(axes: Axes, figures: Figures) -> None:
    """Plot accuracy over MACs of every trained network."""
    for arm, by_seed in nets_of(figures, "dso").items():
        macs = [net["macs"][-1] / 1e6 for net in by_seed.values()]
        accuracy = [100 * net["accuracy"][-1] for net in by_seed.values()]
        axes.plot(macs, accuracy, "x" if arm.startswith("random") else "o", label=f"{arm} (n = {len(macs)})")
    axes.set(xlabel="million MACs", ylabel="test accuracy, %", title="results at one MACs limit, a point a seed")
    if axes.lines:
        axes.legend(fontsize=7)


DSO = Study(
    "DSO-NAS (Zhang et al.)", (SEARCHES, _RECIPE, _BUDGET), partial(each_arm, "dso", SEARCHES, measure), summarise, draw
)
