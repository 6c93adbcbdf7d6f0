"""MS-RANAS (Chiroşca et al., §4): cutout, exits and scales in search and training, the first exit, and MSDNet.

One factor at a time from two ends: the plain network of Fig. 4, and the paper's own configuration of Figs 5 to 10.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.lib.studies.claims import ALIKE, BETTER, Claim, claim_rows, nets_of, paired_row, spread_of
from benchmarks.lib.studies.frame import Bench, Figures, Scale, Study, Trained, each_arm
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.methods import MsRanas, MsRanasSettings
from mango_grader.automl.spaces import MultiscaleConfig
from mango_grader.models import NetworkSpec
from mango_grader.models.baselines.msdnet import MSDNetSettings, msdnet_spec
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets.quick import SHARED_ADAMW

# The network of §4.1 with the two nodes of §4.4, half as wide.
_SPACE = MultiscaleConfig(32, 32, classes=2, channels=8, nodes=2, stem_stride=1)
_SETTINGS = MsRanasSettings(epochs=4, lr=0.02, weights=SHARED_ADAMW)
_RECIPE = TrainRecipe(epochs=8)


@dataclass(frozen=True)
class Setting:
    """What a search or a training is given: holes in the images, all exits or the last alone, 1 or 3 scales."""

    cutout: bool
    exits: bool
    scales: int

    @property
    def config(self) -> MultiscaleConfig:
        """The space; cells are the same in all of them, so that one searched here fits there."""
        exits = _SPACE.exits if self.exits else _SPACE.exits[-1:]
        return replace(_SPACE, scales=self.scales, exits=exits)


SETTINGS = {
    "plain": Setting(cutout=False, exits=False, scales=1),
    "cutout": Setting(cutout=True, exits=False, scales=1),
    "exits": Setting(cutout=False, exits=True, scales=1),
    "scales": Setting(cutout=False, exits=False, scales=3),
    "all": Setting(cutout=True, exits=True, scales=3),
    "all-cutout": Setting(cutout=False, exits=True, scales=3),
    "all-exits": Setting(cutout=True, exits=False, scales=3),
    "all-scales": Setting(cutout=True, exits=True, scales=1),
}
# By what the search is given, in which settings its cell is trained; "random" cells are drawn.
PLAN = {
    "random": ("plain", "all"),
    "plain": ("plain", "all"),
    "cutout": ("plain",),
    "exits": ("plain",),
    "scales": ("plain",),
    "all": ("plain", "all", "all-cutout", "all-exits", "all-scales"),
    "all-exits": ("all",),
}
CLAIMS = (
    Claim("cutout in the search alone helps the plain network", "Fig 4", "cutout>plain", "plain>plain"),
    Claim("exits in the search alone help the plain network", "Fig 4", "exits>plain", "plain>plain"),
    Claim("three scales in the search alone help the plain network", "Fig 4", "scales>plain", "plain>plain"),
    Claim("all three in the search help the plain network", "Fig 4", "all>plain", "plain>plain"),
    Claim("early exits in training cost accuracy at the last", "Fig 5", "all>all-exits", "all>all"),
    Claim("cutout in training helps a network with exits", "Fig 5", "all>all", "all>all-cutout"),
    Claim("three scales in training help a network with exits", "Fig 5", "all>all", "all>all-scales"),
    Claim("exits in the search help a network with exits", "Fig 5", "all>all", "all-exits>all"),
    Claim("the whole search helps a network with exits", "Fig 5", "all>all", "plain>all"),
    Claim("the search beats a random cell", "control", "all>all", "random>all"),
    Claim("the plain search beats a random cell", "control", "plain>plain", "random>plain"),
    Claim("beats MSDNet of equal parameters at the last exit", "Figs 9, 10", "all>all", "msdnet"),
)


def measure(arm: str, seed: int, scale: Scale) -> dict[str, Any]:
    """Search (or draw) a cell and train it in every setting of the plan."""
    bench = Bench.of(scale, scale.cifar10(), seed)
    if arm == "random":
        found = bench.space(SETTINGS["all"].config).sample(np.random.default_rng(seed))
    else:
        given = SETTINGS[arm]
        space = bench.space(given.config)
        found, _ = bench.search(MsRanas, space, scale.lasting(_SETTINGS), float(given.cutout))
    nets = {f"{arm}>{training}": _trained(bench, found, SETTINGS[training]) for training in PLAN[arm]}
    if arm == "all":
        ours = bench.final(_placed(bench, found, SETTINGS["all"]))
        nets["msdnet"] = bench.train(msdnet_of(ours), _RECIPE, float(SETTINGS["all"].cutout))
    return {"nets": nets, "cell": found.choices}


def _trained(bench: Bench, found: Architecture, setting: Setting) -> Trained:
    return bench.train(bench.final(_placed(bench, found, setting)), _RECIPE, float(setting.cutout))


def _placed(bench: Bench, found: Architecture, setting: Setting) -> Architecture:
    return Architecture(bench.space(setting.config).config, found.choices)


def msdnet_of(ours: NetworkSpec) -> NetworkSpec:
    """Return the MSDNet of our compact settings whose parameters are nearest to `ours`: widened evenly, then its exits.

    Features grow in coarse steps, the exits' own channels in fine ones.
    """
    compact = replace(MSDNetSettings.compact(), stem_stride=_SPACE.stem_stride)
    even = [replace(compact, channels=c, growth=max(1, c // 2), exit_channels=max(1, 8 * c // 3)) for c in range(2, 65)]

    def nearest(settings: Iterable[MSDNetSettings]) -> tuple[MSDNetSettings, NetworkSpec]:
        made = [(each, msdnet_spec(ours.input, ours.classes, each)) for each in settings]
        return min(made, key=lambda pair: abs(math.log(pair[1].params()[-1] / ours.params()[-1])))

    widened, _ = nearest(even)
    own = widened.exit_channels
    return nearest(replace(widened, exit_channels=width) for width in range(max(1, own // 2), 2 * own + 1))[1]


def summarise(figures: Figures, scale: Scale) -> list[dict[str, Any]]:
    """Return the claims about the last exit, about the first, and about the whole curve."""
    nets, text = nets_of(figures, "ms-ranas"), f"{scale.cifar10()}; {_RECIPE.epochs} epochs at {scale}"
    rows = claim_rows(CLAIMS, nets, text)
    for arm in ("all>all-cutout", "all>all"):
        ours = list(nets.get(arm, {}).values())
        if len(ours) > 1:
            sides, limit = (f"{arm}, last exit", f"{arm}, first exit"), (-math.inf, 0.0125)
            ends = [(net["accuracy"][-1], net["accuracy"][0]) for net in ours]
            claim = f"the first exit is within 1.25 points of the last ({arm})"
            row = paired_row(claim, "Fig 6", ends, limit, text, sides)
            shares = [net["macs"][0] / net["macs"][-1] for net in ours]
            rows.append(row | {"macs_share_of_first": spread_of(shares), "published_share": 0.12})
    both = _both(nets)
    if len(both) > 1:
        beyond = [(_mean_beyond(ours, theirs), _mean_beyond(theirs, ours)) for ours, theirs in both]
        sides = ("all>all", "msdnet")
        curve = "beats MSDNet of equal parameters over all budgets that both can spend"
        rows.append(paired_row(curve, "Figs 9, 10", beyond, BETTER, text, sides, "mean accuracy over log MACs"))
        sizes = [(math.log(ours["params"][-1]), math.log(theirs["params"][-1])) for ours, theirs in both]
        rows.append(paired_row("equal parameters, within 2 %", "control", sizes, ALIKE, text, sides, "log parameters"))
    return rows


def _both(nets: Mapping[str, Mapping[int, Any]]) -> list[tuple[Trained, Trained]]:
    ours, theirs = nets.get("all>all", {}), nets.get("msdnet", {})
    return [(ours[seed], theirs[seed]) for seed in sorted(set(ours) & set(theirs))]


def _mean_beyond(net: Trained, rival: Trained) -> float:
    """Return the mean accuracy of `net`'s best exit within a budget, over budgets that pay for an exit of both.

    Budgets run, even in their logarithm, up to the dearer last exit.
    """
    start = math.log(max(net["macs"][0], rival["macs"][0]))
    budgets = np.exp(np.linspace(start, math.log(max(net["macs"][-1], rival["macs"][-1])), 101)) * (1 + 1e-9)
    best = np.maximum.accumulate(net["accuracy"])
    return float(best[np.searchsorted(net["macs"], budgets, side="right") - 1].mean())


def draw(axes: Axes, figures: Figures) -> None:
    """Plot accuracy over MACs of every seed, ours and MSDNet's."""
    both = _both(nets_of(figures, "ms-ranas"))
    for number, pair in enumerate(both):
        for net, name, style in zip(pair, ("MS-RANAS", "MSDNet"), ("o-C0", "s--C1"), strict=True):
            label = f"{name}, n = {len(both)} seeds" if number == 0 else None
            axes.plot(np.array(net["macs"]) / 1e6, 100 * np.array(net["accuracy"]), style, label=label, alpha=0.7)
    axes.set(xscale="log", xlabel="million MACs", ylabel="test accuracy, %", title="anytime curves, equal parameters")
    if both:
        axes.legend()


MS_RANAS = Study(
    "MS-RANAS (Chiroşca et al.)",
    (_SPACE, _SETTINGS, _RECIPE, SETTINGS),
    partial(each_arm, "ms-ranas", PLAN, measure),
    summarise,
    draw,
)
