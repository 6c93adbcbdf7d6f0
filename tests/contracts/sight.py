"""A task that only one candidate can solve, and how far a method's preference moves towards it on a real super net.

Images show pairs of dots, side by side (class 0) or one above the other (class 1): every colour is as frequent in
both classes, so that 1×1 convolutions cannot tell them apart. One candidate sees a neighbourhood, two do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.methods import (
    BetaNasSettings,
    DsoSettings,
    EnasSettings,
    MethodSettings,
    MsRanasSettings,
    ProxylessNasSettings,
    RandomSettings,
    SposSettings,
    TnasGSettings,
    TnasOsSettings,
)
from mango_grader.automl.movement import Movement
from mango_grader.automl.relaxations.binary_gates import BinaryGateSettings
from mango_grader.automl.samplers import ControllerSettings, EvolutionSettings, VaeSettings
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Classifier, Convolution, Operation
from mango_grader.models.spec import IMAGE, Node
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.recipe import WeightRecipe

_SIZE, _PAIRS, _IMAGES, _CHANNELS = 10, 4, 192, 8
_WEIGHTS = WeightRecipe(optimiser="adamw", lr=0.02, weight_decay=1e-3, clip=5.0)
_CANDIDATES: Mapping[str, Operation] = {
    "blind": Convolution(_CHANNELS, _CHANNELS),
    "blind_too": Convolution(_CHANNELS, _CHANNELS, groups=2),
    "sees": Convolution(_CHANNELS, _CHANNELS, kernel=3),
}

_EVOLUTION = EvolutionSettings(population=3, generations=1)
_VAE = VaeSettings(latent=2, width=16, heads=2, layers=1, kept=1, steps=20, batch=8)  # the best of three

# One line per method: settings with which it learns this in about a second.
SETTINGS: Mapping[str, MethodSettings] = {
    "enas": EnasSettings(
        epochs=8, steps=60, paths=4, samples=4, held_out=0.3, weights=_WEIGHTS, controller=ControllerSettings(lr=0.03)
    ),
    "ms-ranas": MsRanasSettings(epochs=8, lr=0.05, held_out=0.3, weights=_WEIGHTS),
    "betanas": BetaNasSettings(
        epochs=12,
        warmup=4,
        interval=1,
        drop_every=4,
        held_out=0.3,
        binary=BinaryGateSettings(lr=0.05, cost_weight=0.0),
        weights=_WEIGHTS,
    ),
    "proxylessnas": ProxylessNasSettings(
        epochs=6,
        warmup=4,
        interval=1,
        held_out=0.3,
        binary=BinaryGateSettings(lr=0.05, cost_weight=0.0),
        weights=_WEIGHTS,
    ),
    "dso": DsoSettings(pretrain=2, epochs=8, held_out=0.3, gamma=0.01, weights=replace(_WEIGHTS, frozen_scale=True)),
    "random": RandomSettings(epochs=8, samples=6, held_out=0.3, weights=_WEIGHTS),
    "spos": SposSettings(epochs=8, held_out=0.3, recalibration=4, evolution=_EVOLUTION, weights=_WEIGHTS),
    "tnas-os": TnasOsSettings(
        epochs=12,
        epsilon_step=0.04,
        samples=3,
        held_out=0.3,
        recalibration=0,
        vae=_VAE,
        evolution=_EVOLUTION,
        weights=_WEIGHTS,
    ),
    "tnas-g": TnasGSettings(epochs=8, held_out=0.3, samples=3, vae=_VAE, weights=_WEIGHTS),
}


@dataclass(frozen=True)
class SightSpace(SpaceConfig):
    """1×1 stem, the decision, a classifier."""

    kind: ClassVar[str] = "sight"

    def decisions(self) -> tuple[Decision, ...]:
        return (Decision("sight", tuple(_CANDIDATES)),)

    def graph(self) -> SearchGraph:
        branches = tuple(Branch(name, op, ("stem",)) for name, op in _CANDIDATES.items())
        nodes = (
            Node("stem", Convolution(3, _CHANNELS), (IMAGE,)),
            Choice("layer", "sight", branches),
            Node("exit", Classifier(_CHANNELS, self.classes), ("layer",)),
        )
        return SearchGraph((3, self.height, self.width), nodes, ("exit",))


def dots(seed: int) -> Examples:
    """Return dots in pairs; labels say how the pairs lie."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, _IMAGES)
    images = np.full((_IMAGES, _SIZE, _SIZE, 3), 60, dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        corners = rng.choice((_SIZE // 3) ** 2, _PAIRS, replace=False)
        for row, column in zip(*np.divmod(corners, _SIZE // 3), strict=True):
            image[3 * row, 3 * column] = image[3 * row + label, 3 * column + 1 - label] = 220
    return Examples(images, labels, np.arange(_IMAGES))


def searched(method: str, seed: int, settings: MethodSettings | None = None) -> Search:
    """Return a search of `method` for the candidate that sees, ready to run."""
    settings, space = settings or SETTINGS[method], SearchSpace(SightSpace(_SIZE, _SIZE, 2))
    examples = dots(seed)
    cut = round(_IMAGES * (1 - settings.held_out))
    seen = Examples(examples.images, examples.labels, np.arange(cut))
    held_out = Examples(examples.images, examples.labels, np.arange(cut if settings.held_out else 0, _IMAGES))
    return build_search(method, settings, SearchProblem(space), SearchData(Batches(seen, 16, seed), held_out), seed)


def lead(search: Search) -> float:
    """Return by how much the method prefers the candidate that sees to the better of the others, in [-1, 1]."""
    *blind, sees = search.method.preference()["sight"]
    return float(sees - max(blind))


class Progress(NamedTuple):
    """How much the lead grew, whether the result sees, and what the search itself says it has changed."""

    gained: float
    found: bool
    movement: Movement


def progress_made(method: str, seed: int) -> Progress:
    """Run the whole search."""
    search = searched(method, seed)
    before = lead(search)
    found = search.run(SilentProgress())
    return Progress(lead(search) - before, found.choices["sight"] == ("sees",), search.movement())


__all__ = ["SETTINGS", "Progress", "dots", "progress_made", "searched"]
