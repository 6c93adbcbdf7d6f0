"""MNet (Chen & Fuh, §3 and §4): which kernels and dilations win, and by which of ENAS's two schedules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.lib.studies.claims import BETTER, Claim, claim_rows, nets_of
from benchmarks.lib.studies.frame import Bench, Figures, Scale, Study, each_arm
from mango_grader.automl.methods import Enas, EnasSettings, MethodSettings, RandomSearch, RandomSettings, SearchMethod
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets.quick import CONTROLLER, SHARED_ADAMW

# The published kernels up to the features' own size, 16 × 16, as the paper's largest are to its 24 × 32.
_SPACE = LayerwiseConfig(
    64, 64, classes=2, depth=8, channels=32, stem_stride=4, kernels=(3, 7, 11, 15), exits=(4, 8)
)  # fmt: skip
_RECIPE = TrainRecipe(epochs=40)
_SAMPLES, _STEPS, _PATHS = 30, 60, 4
_TWO_PHASES = EnasSettings(
    epochs=25, steps=_STEPS, paths=_PATHS, samples=_SAMPLES, weights=SHARED_ADAMW, controller=CONTROLLER
)
# Random search scores as many more as the controllers cost: some three mini-batches make a full score.
_EXTRA = _STEPS * _PATHS // 3
ARMS: Mapping[str, tuple[type[SearchMethod], MethodSettings]] = {
    "two phases": (Enas, _TWO_PHASES),
    "alternating": (Enas, replace(_TWO_PHASES, schedule="alternating")),
    "random": (RandomSearch, RandomSettings(epochs=25, samples=_SAMPLES + _EXTRA, weights=SHARED_ADAMW)),
}
CLAIMS = (
    Claim("the published two-phase search beats random search", "Table 2", "two phases", "random"),
    Claim("ENAS's alternating search beats random search", "control", "alternating", "random"),
    Claim("two phases beat alternating", "§3", "two phases", "alternating", BETTER),
)


def measure(arm: str, seed: int, scale: Scale) -> dict[str, Any]:
    """Search and train the result."""
    bench = Bench.of(scale, scale.mangoes(), seed)
    kind, settings = ARMS[arm]
    found, _ = bench.search(kind, bench.space(_SPACE), scale.lasting(settings))
    chosen = [found.choices[f"layer{layer}.convolution"][0] for layer in range(1, _SPACE.depth + 1)]
    return {"nets": {arm: bench.train(bench.final(found), _RECIPE)}, "chosen": chosen}


def chosen_by(figures: Figures, arms: Sequence[str]) -> list[str]:
    """Return the convolutions of all layers and seeds that the searches of these arms chose."""
    return [
        chosen
        for arm in arms
        for name, found in figures.items()
        if name.startswith(f"mnet/{arm}/")
        for chosen in found["chosen"]
    ]


def counts_of(chosen: Sequence[str]) -> dict[str, dict[int, int]]:
    """Count kernels and dilations in names such as k7d2."""
    pairs = [tuple(map(int, name[1:].split("d"))) for name in chosen]
    return {
        "kernel": {kernel: sum(pair[0] == kernel for pair in pairs) for kernel in _SPACE.kernels},
        "dilation": {dilation: sum(pair[1] == dilation for pair in pairs) for dilation in _SPACE.dilations},
    }


def summarise(figures: Figures, scale: Scale) -> list[dict[str, Any]]:
    """Return the claims, and what was chosen: counted, not tested, as the layers of one network are no sample."""
    text = f"{scale.mangoes()}; {_RECIPE.epochs} epochs at {scale}"
    rows = claim_rows(CLAIMS, nets_of(figures, "mnet"), text)
    for arm in ARMS:
        chosen = chosen_by(figures, [arm])
        for what, counts in counts_of(chosen).items() if chosen else ():
            rows.append(
                {
                    "claim": f"{arm}: layers by {what}",
                    "where": "Fig 3",
                    "scale": text,
                    "unit": f"layers by {what}",
                    "n": len(chosen),
                    "figures": counts,
                    "p": None,
                    "verdict": "counted",
                }
            )
    return rows


def draw(axes: Axes, figures: Figures) -> None:
    """Plot how often each kernel and dilation was chosen, by arm."""
    for place, arm in enumerate(ARMS):
        chosen = chosen_by(figures, [arm])
        bars = {f"{what[0]}{value}": n for what, found in counts_of(chosen).items() for value, n in found.items()}
        shares = np.array(list(bars.values())) / max(1, len(chosen))
        spots = np.arange(len(bars)) + 0.27 * (place - 1)
        axes.bar(spots, shares, 0.25, label=f"{arm}, n = {len(chosen)} layers")
        axes.set_xticks(range(len(bars)), list(bars))
    axes.set(xlabel="kernel (k) and dilation (d)", ylabel="share of layers", title="chosen convolutions")
    axes.legend(fontsize=7)


MNET = Study("MNet (Chen & Fuh)", (_SPACE, ARMS, _RECIPE), partial(each_arm, "mnet", ARMS, measure), summarise, draw)
