"""BetaNAS (Fang et al., §4.3): how evenly paths train, eight searches against eight random nets, what ranks better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import kendalltau, mannwhitneyu

from benchmarks.lib.measurements import Measurement
from benchmarks.lib.studies.claims import WORSE, nets_of, paired_row, spread_of, verdict
from benchmarks.lib.studies.frame import Bench, Figures, Scale, Study
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SharedWeights
from mango_grader.automl.methods import BetaNas, BetaNasSettings, RandomSearch, RandomSettings
from mango_grader.automl.relaxations.binary_gates import BinaryGateSettings
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import MbconvConfig
from mango_grader.training.device import pick_device
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets.quick import SHARED_ADAMW

_SPACE = MbconvConfig(
    32, 32, classes=2, stem_stride=2, stem_channels=12, first_channels=8, channels=(12, 24, 48), blocks=(2, 3, 3),
    strides=(1, 2, 2), exits=(2, 3), head=128, dropout=0.0,
)  # fmt: skip
_BALANCED = BetaNasSettings(
    epochs=8, warmup=1, interval=2, drop_every=2, held_out=0.2, binary=BinaryGateSettings(lr=0.05), weights=SHARED_ADAMW
)
# The share of warm-up is ProxylessNAS's own, a third.
_PROXYLESS = replace(_BALANCED, balance="none", drop_below=0.0, warmup=3)
_RECIPE = TrainRecipe(epochs=10)
_RIVALS = 8  # searches of Fig. 6 at three seeds
_DRAWS = 5000
_DATA = 0  # Fig. 6 varies the search alone, so that all its nets answer the same images

# Fig. 7 chooses between 1×1 and 3×3 convolutions; four branches add two larger ones that no ranked network uses.
_TWO = MbconvConfig(
    32, 32, classes=2, stem_stride=2, stem_channels=12, first_channels=12, channels=(12, 24, 48), blocks=(2, 2, 2),
    strides=(1, 2, 2), kernels=(1, 3), expansions=(3,), identity=False, exits=(3,), head=0, dropout=0.0,
    final_squeeze=0.0, final_activation="relu6",
)  # fmt: skip
_FOUR = replace(_TWO, kernels=(1, 3, 5, 7))
_RANKED = 10
_ALONE = TrainRecipe(epochs=5)  # twice and four times as long with two and four branches, as published


def fig6(seed: int, scale: Scale) -> dict[str, Any]:
    """Search, and train the result and a random network of equal MACs alike."""
    bench = Bench.of(scale, scale.cifar10(), seed, part=_DATA)
    space = bench.space(_SPACE)
    found, search = bench.search(BetaNas, space, scale.lasting(_BALANCED))
    rival = random_of_equal_macs(space, found, np.random.default_rng(seed))
    nets = {name: bench.train(bench.final(each), _RECIPE) for name, each in (("betanas", found), ("random", rival))}
    return {"nets": nets, "steps": steps_of(search.method)}


def fig5(seed: int, scale: Scale) -> dict[str, Any]:
    """Search as ProxylessNAS does, of whose steps the balanced search's are the counterpart, and train the result."""
    bench = Bench.of(scale, scale.cifar10(), seed, part=_DATA)
    found, search = bench.search(BetaNas, bench.space(_SPACE), scale.lasting(_PROXYLESS))
    return {"nets": {"proxylessnas": bench.train(bench.final(found), _RECIPE)}, "steps": steps_of(search.method)}


def random_of_equal_macs(space: SearchSpace, found: Architecture, rng: np.random.Generator) -> Architecture:
    """Return a random architecture within 1 % of the MACs of `found`, as trained, or the nearest of all drawn."""
    target = space.final.derive(found).macs()[-1]
    nearest, least = found, math.inf
    for _ in range(_DRAWS):
        drawn = space.sample(rng)
        if (apart := abs(math.log(space.final.derive(drawn).macs()[-1] / target))) < least:
            nearest, least = drawn, apart
        if least < 0.01:
            break
    return nearest


def steps_of(method: Any) -> dict[str, Any]:
    """Return each block's weight steps by candidate, which candidates live, and how strongly each is preferred."""
    names = [decision.name for decision in method.space.decisions]
    alive, preferred = method.binary.alive(), method.preference()
    return {
        "trained": [method.trained[name].tolist() for name in names],
        "alive": [alive[name].tolist() for name in names],
        "preferred": [preferred[name].tolist() for name in names],
    }


def fig7(seed: int, scale: Scale) -> dict[str, Any]:
    """Score the same networks by super nets of two and four branches, and train each alone."""
    bench = Bench.of(scale, scale.cifar10(), seed)
    two = bench.space(_TWO)
    ranked = ranked_of(two)
    alone = [bench.train(bench.final(each), _ALONE)["accuracy"][-1] for each in ranked]
    return {
        "nets": {},
        "alone": alone,
        "two": _scores(bench, two, ranked, 2 * _ALONE.epochs),
        "four": _scores(bench, bench.space(_FOUR), ranked, 4 * _ALONE.epochs),
    }


def ranked_of(space: SearchSpace) -> list[Architecture]:
    """Return different random architectures, the same for every seed."""
    rng, found = np.random.default_rng(0), dict[Architecture, None]()
    while len(found) < _RANKED:
        found[space.sample(rng)] = None
    return list(found)


def _scores(bench: Bench, space: SearchSpace, ranked: Sequence[Architecture], epochs: int) -> list[float]:
    """Return validation accuracies by weights that uniform paths shared for so many epochs."""
    settings = RandomSettings(epochs=bench.scale.epochs(epochs), samples=1, held_out=0.0, weights=SHARED_ADAMW)
    _, search = bench.search(RandomSearch, space, settings)
    assert search.training is not None
    batches = list(bench.data.val.shuffled(bench.seed).in_order(256))
    shared = SharedWeights(search.problem, search.training.net, batches, pick_device())
    return [shared.score(Architecture(space.config, each.choices)) for each in ranked]


def measurements(scale: Scale) -> list[tuple[int, Measurement]]:
    """Each figure's, by seed; Fig. 6 has 8 for 3."""
    searches = round(scale.seeds * _RIVALS / 3)
    found = [(seed, Measurement(f"betanas/fig6/{seed}", partial(fig6, seed, scale))) for seed in range(searches)]
    for seed in range(scale.seeds):
        found.append((seed, Measurement(f"betanas/fig5/{seed}", partial(fig5, seed, scale))))
        found.append((seed, Measurement(f"betanas/fig7/{seed}", partial(fig7, seed, scale))))
    return found


def spread_in(steps: Mapping[str, Any]) -> dict[str, float]:
    """Return how unevenly live paths were trained, and the winners' share of all steps.

    variation: the coefficient of variation, over blocks with a choice left. drawn: what an even draw by chance alone
    would give of it. winner: of the final choice, over all blocks.
    """
    rows, winners = [], []
    for trained, alive, preferred in zip(steps["trained"], steps["alive"], steps["preferred"], strict=True):
        live = np.array(trained, dtype=float)[np.array(alive)]
        winners.append(trained[int(np.argmax(preferred))] / sum(trained))
        if len(live) > 1:
            rows.append((live.std(ddof=1) / live.mean(), live.mean()))
    if not rows:
        return {}
    variation, mean = np.mean(rows, axis=0)
    return {"variation": variation, "winner": float(np.mean(winners)), "drawn": 1 / math.sqrt(mean)}


def summarise(figures: Figures, scale: Scale) -> list[dict[str, Any]]:
    """Return the three figures' claims."""
    text = f"{scale.cifar10()}; {_RECIPE.epochs} epochs at {scale}"
    return [*_fig5_rows(figures, text), *_fig6_rows(figures, text), *_fig7_rows(figures, text)]


def _fig5_rows(figures: Figures, text: str) -> list[dict[str, Any]]:
    pairs = [
        (spread_in(figures[name.replace("fig5", "fig6")]["steps"]), spread_in(found["steps"]))
        for name, found in figures.items()
        if name.startswith("betanas/fig5") and name.replace("fig5", "fig6") in figures
    ]
    pairs = [(ours, theirs) for ours, theirs in pairs if ours and theirs]
    if len(pairs) < 2:
        return []
    sides = ("betanas", "proxylessnas")
    claims = {
        "variation": ("live paths train more evenly than ProxylessNAS's", WORSE, "coefficient of variation"),
        "winner": ("the final path trains more often", (0.0, math.inf), "share of steps"),
    }
    rows = []
    for key, (claim, allowed, unit) in claims.items():
        values = [(ours[key], theirs[key]) for ours, theirs in pairs]
        rows.append(paired_row(claim, "Fig 5", values, allowed, text, sides, unit))
    for place, side in enumerate(("first", "second")):
        rows[0][side]["by_chance_alone"] = spread_of([pair[place]["drawn"] for pair in pairs])
    return rows


def _fig6_rows(figures: Figures, text: str) -> list[dict[str, Any]]:
    nets = nets_of(figures, "betanas")
    rows = []
    for rival, claim in (("random", "searches beat random nets of equal MACs"), ("proxylessnas", "beats ProxylessNAS")):
        ours, theirs = ([net["accuracy"][-1] for net in nets.get(arm, {}).values()] for arm in ("betanas", rival))
        if min(len(ours), len(theirs)) > 1:
            p = float(mannwhitneyu(ours, theirs).pvalue)
            gap = float(np.mean(ours) - np.mean(theirs))
            found = "cannot be told at this scale" if p >= 0.05 else "holds" if gap > 0 else "does not hold"
            sides = {"first": {"arm": "betanas", **spread_of(ours)}, "second": {"arm": rival, **spread_of(theirs)}}
            for side in sides.values():
                side["macs"] = spread_of([net["macs"][-1] for net in nets[side["arm"]].values()])
            head = {"claim": claim, "where": "Fig 6", "scale": text, "unit": "accuracy", "n": len(ours), **sides}
            rows.append(head | {"difference": {"mean": gap}, "test": "Mann-Whitney", "p": p, "verdict": found})
    return rows


def _fig7_rows(figures: Figures, text: str) -> list[dict[str, Any]]:
    measured = [found for name, found in figures.items() if name.startswith("betanas/fig7/")]
    if len(measured) < 2:
        return []
    alone, two, four = (np.array([found[key] for found in measured]) for key in ("alone", "two", "four"))
    taus = [(_tau(b2, own), _tau(b4, own)) for b2, b4, own in zip(two, four, alone, strict=True)]
    text = f"{text}; {_RANKED} networks, {_ALONE.epochs} epochs alone"
    claim, sides = "two branches rank more like training alone than four", ("two branches", "four branches")
    row = paired_row(claim, "Fig 7", taus, (0.0, math.inf), text, sides, "Kendall tau")
    again = [_tau(one, other) for place, one in enumerate(alone) for other in alone[:place]]
    levels = {name: spread_of(scores.mean(1)) for name, scores in (("alone", alone), ("two", two), ("four", four))}
    over = _over_networks(alone.mean(0), two.mean(0), four.mean(0))
    row |= {"tau_between_seeds_alone": spread_of(again), "mean_accuracy": levels, "seed_means": over}
    higher = list(zip(two.mean(1), four.mean(1), strict=True))
    claim = "two branches reach a higher accuracy by shared weights"
    return [row, paired_row(claim, "Fig 7", higher, (0.0, math.inf), text, sides)]


def _over_networks(alone: np.ndarray, two: np.ndarray, four: np.ndarray) -> dict[str, Any]:
    """Return the taus of seed means, and the bootstrap interval over networks of their difference."""
    rng, gaps = np.random.default_rng(0), []
    for _ in range(2000):
        drawn = rng.integers(0, len(alone), len(alone))
        gaps.append(_tau(two[drawn], alone[drawn]) - _tau(four[drawn], alone[drawn]))
    low, high = np.nanpercentile(gaps, [2.5, 97.5])
    taus = {"two": _tau(two, alone), "four": _tau(four, alone)}
    return {**taus, "n": len(alone), "low": low, "high": high, "verdict": verdict(low, high, (0.0, math.inf))}


def _tau(one: np.ndarray, other: np.ndarray) -> float:
    """Return Kendall's tau-b; 0 where all are tied."""
    value = float(kendalltau(one, other).statistic)
    return 0.0 if math.isnan(value) else value


def draw(axes: Axes, figures: Figures) -> None:
    """Plot the accuracies of searched and random networks, a point each."""
    for place, (arm, by_seed) in enumerate(nets_of(figures, "betanas").items()):
        accuracy = [100 * net["accuracy"][-1] for net in by_seed.values()]
        axes.plot(np.full(len(accuracy), place), accuracy, "o", label=f"{arm}, n = {len(accuracy)}", alpha=0.7)
    axes.set(xticks=[], ylabel="test accuracy, %", title="searched and random nets, retrained alike (Fig 6)")
    if axes.lines:
        axes.legend()


_SETTINGS = (_SPACE, _BALANCED, _PROXYLESS, _RECIPE, _TWO, _FOUR, _RANKED, _ALONE)
BETANAS = Study("BetaNAS (Fang et al.)", _SETTINGS, measurements, summarise, draw)
