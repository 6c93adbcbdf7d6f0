"""What every study does: search a space, train a network, and keep what it answered on each test image."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.lib.measurements import Measurement, as_text
from benchmarks.lib.studies.data import Cifar10, Fruit, Source
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.methods import MethodSettings, SearchMethod
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.models import NetworkSpec, build_network
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches
from mango_grader.training.device import pick_device, seed_everything
from mango_grader.training.loop import Trainer, predict
from mango_grader.training.losses import AnytimeLoss
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.run.data import PreparedData, make_augmenter, on_device

Figures = Mapping[str, Any]
Trained = dict[str, Any]
"""By exit: accuracy, macs, params; of the last exit `correct`, a 1 or 0 for each test image; `groups` of the images."""

_BATCH = 32
_WATCHED = 32  # validation images that a training looks at: it chooses nothing by them
_TRAIN_SEED = 1  # keeps the stream of training batches apart from the search's


@dataclass(frozen=True)
class Scale:
    """How large everything is. data: what all studies take in place of their own. effort: factor on all epochs.

    width: factor on all channels. shared: the folder of the studies' own data. work: where decoded images are kept.
    """

    data: str | None
    group_by: str | None
    shared: str
    work: str
    size: int
    effort: float
    width: float
    seeds: int

    def epochs(self, count: int) -> int:
        return max(1, round(count * self.effort))

    def lasting(self, settings: MethodSettings) -> MethodSettings:
        """Return a method's settings at this effort; at full effort they are as written."""
        return settings if self.effort == 1 else settings.scaled(self.effort)

    def cifar10(self) -> Source:
        return self._given() or Cifar10(str(Path(self.shared, "cifar10")))

    def mangoes(self) -> Source:
        path = str(Path(self.shared, "mango_lesions"))
        return self._given() or Fruit(path, "groups.csv:fruit", self.size, self.work)

    def _given(self) -> Source | None:
        return Fruit(self.data, self.group_by, self.size, self.work) if self.data else None

    def __str__(self) -> str:
        return f"effort {self.effort:g}, width {self.width:g}"


@dataclass(frozen=True)
class Study:
    """One paper's claims.

    Attributes:
        paper: its name.
        settings: all that decides its figures beside the scale.
        measurements: returns them with their seeds.
        summarise: returns the claims as rows.
        draw: plots what is particular to the study.
    """

    paper: str
    settings: tuple[object, ...]
    measurements: Callable[[Scale], list[tuple[int, Measurement]]]
    summarise: Callable[[Figures, Scale], list[dict[str, Any]]]
    draw: Callable[[Axes, Figures], None]


def each_arm(
    study: str, arms: Iterable[str], measure: Callable[[str, int, Scale], Any], scale: Scale
) -> list[tuple[int, Measurement]]:
    """Return one measurement for each seed and arm of a study, called study/arm/seed, with its seed."""
    return [
        (seed, Measurement(f"{study}/{arm}/{seed}", partial(measure, arm, seed, scale)))
        for seed in range(scale.seeds)
        for arm in arms
    ]


@dataclass(frozen=True)
class Bench:
    """The images of one seed, and all that is done with them. cutout: probability, in place of the source's own."""

    data: PreparedData
    scale: Scale
    source: Source
    seed: int

    @classmethod
    def of(cls, scale: Scale, source: Source, seed: int, part: int | None = None) -> "Bench":
        """Return the bench of a seed, on its own part of the data or on that of another seed."""
        data = source.prepared(seed if part is None else part)
        return cls(on_device(data, pick_device()), scale, source, seed)

    def space(self, config: SpaceConfig) -> SearchSpace:
        """Return the space for these images, at the scale's width."""
        shape, classes = self.data.preprocess, len(self.data.dataset.classes)
        return SearchSpace(
            replace(config, height=shape.height, width=shape.width, classes=classes, multiplier=self.scale.width)
        )

    def search(
        self, kind: type[SearchMethod], space: SearchSpace, settings: MethodSettings, cutout: float | None = None
    ) -> tuple[Architecture, Search]:
        """Return what a whole search finds, and the search."""
        for_weights, for_architecture = self.data.held_out(settings.held_out, self.seed)
        batches = Batches(for_weights, _BATCH, self.seed, self._augmenter(cutout))
        data = SearchData(batches, for_architecture, AnytimeLoss(label_smoothing=0.1), pick_device())
        found = build_search(kind, settings, SearchProblem(space), data, self.seed)
        return found.run(SilentProgress()), found

    def train(self, spec: NetworkSpec, recipe: TrainRecipe, cutout: float | None = None) -> Trained:
        """Train a network from scratch and return its figures on the test part."""
        seed_everything(self.seed, _TRAIN_SEED)
        device, net, data = pick_device(), build_network(spec), self.data
        recipe = recipe.lasting(self.scale.epochs(recipe.epochs))
        batches = Batches(data.train, recipe.batch_size, self.seed + _TRAIN_SEED, self._augmenter(cutout))
        watched = replace(data.val, rows=data.val.rows[:_WATCHED])
        Trainer(net, recipe, batches, watched, device, self.seed).run(SilentProgress())
        correct = predict(net, data.test, device).argmax(-1) == data.test.targets
        _, groups = np.unique(data.groups(data.test), return_inverse=True)
        return {
            "accuracy": correct.mean(1).tolist(),
            "macs": list(spec.macs()),
            "params": list(spec.params()),
            "correct": as_text(correct[-1]),
            "groups": " ".join(map(str, groups)) if len(set(groups)) < len(groups) else "",
        }

    def final(self, architecture: Architecture) -> NetworkSpec:
        """Return the network of an architecture as it is trained."""
        return SearchSpace(architecture.space).final.derive(architecture)

    def _augmenter(self, cutout: float | None) -> Any:
        augment = self.source.augment
        if cutout is not None:
            augment = replace(augment, cutout_probability=cutout)
        shape = self.data.preprocess
        return make_augmenter(augment, shape.height, shape.width, pick_device())
