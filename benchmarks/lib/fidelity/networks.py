"""The networks that are ranked: drawn evenly from a space, scored by shared weights, and trained one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from mango_grader import SearchOptions
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SearchProblem, SharedWeights
from mango_grader.automl.limits import Constraints, fitted
from mango_grader.automl.methods import RandomSettings
from mango_grader.automl.samplers import UniformSampler, distinct
from mango_grader.automl.search import build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.models import build_network
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.device import pick_device, seed_everything
from mango_grader.training.loop import Trainer, predict
from mango_grader.training.losses import AnytimeLoss
from mango_grader.workflow.config import DataConfig, RunConfig
from mango_grader.workflow.options import NONE
from mango_grader.workflow.run.data import PreparedData, augmenter, on_device, prepare
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.weights import load_matching
from mango_grader.workflow.search_config import SearchConfig

METRICS = ("accuracy", "cross_entropy")
PARTS = ("validation", "test")


@dataclass(frozen=True)
class Fidelity:
    """What is ranked, and on which images. epochs: of each network's own training. work: where images are kept decoded.

    pretrained: whether networks of `lite`, and its super net, start from ImageNet. settings: as --set takes them.
    """

    data: str
    group_by: str | None
    folds: int
    size: int
    networks: int
    epochs: int
    max_macs: int
    pretrained: bool
    settings: tuple[str, ...]
    work: str

    def config(self, kind: str) -> RunConfig:
        """Return the configuration of a search of that space as a user would start it, on the first fold."""
        return SearchOptions(
            data=self.data,
            group_by=self.group_by,
            fold=(1, self.folds),
            size=(self.size, self.size),
            method="random",
            space=kind,
            max_macs=self.max_macs,
            teacher=NONE,
            init_from=EFFICIENTNET_LITE0 if self.pretrained and kind == "lite" else None,
            settings=(f"train.epochs={self.epochs}", *self.settings),
        ).config()


@dataclass(frozen=True)
class Ranked:
    """One space with its networks and images."""

    config: RunConfig
    search: SearchConfig
    data: PreparedData
    problem: SearchProblem
    networks: Sequence[Architecture]

    @classmethod
    def of(cls, kind: str, scale: Fidelity) -> "Ranked":
        """Return the space, narrowed to the limit as in a run, and its networks, the same in every process."""
        config = scale.config(kind)
        assert config.search is not None
        data = _prepared(config.data, scale.work)
        whole = replace(config.search.space, classes=len(data.dataset.classes))
        space = SearchSpace(fitted(whole, config.search.limits))
        problem = SearchProblem(space, config.search.objective, feasible=Constraints(space, config.search.limits))
        rng, even = np.random.default_rng(0), UniformSampler(space, problem.feasible)
        networks = distinct(lambda: even.ask(rng, 1)[0], scale.networks, lambda _: True)
        return cls(config, config.search, data, problem, networks)


@lru_cache(maxsize=2)
def _prepared(config: DataConfig, work: str) -> PreparedData:
    folder = Path(work, f"{Path(config.path).name}-{config.height}-{config.fold}")
    folder.mkdir(parents=True, exist_ok=True)
    return on_device(prepare(config, RunFolder(folder), SilentProgress()), pick_device())


def shared_scores(kind: str, fair: bool, seed: int, scale: Fidelity) -> dict[str, list[float]]:
    """Train the shared weights on even paths, and return every network's scores on held-out images, and its MACs."""
    ranked, device = Ranked.of(kind, scale), pick_device()
    config, settings = ranked.config, ranked.search.method.settings
    assert isinstance(settings, RandomSettings)
    settings = replace(settings, samples=1, fair=fair)
    for_weights, held_out = ranked.data.held_out(settings.held_out, seed)
    augmented = augmenter(config, ranked.search.augment(config.augment))
    batches = Batches(for_weights, ranked.search.batch_size, seed, augmented)
    loss = AnytimeLoss(config.train.exit_weights, label_smoothing=config.train.label_smoothing)
    learned = SearchData(batches, held_out, loss, device, ranked.search.sandwich)
    search = build_search("random", settings, ranked.problem, learned, seed)
    assert search.training is not None
    if config.init_from is not None:
        load_matching(search.training.net, config.init_from)
    search.run(SilentProgress())
    shared = search.evaluator
    assert isinstance(shared, SharedWeights)
    scores: dict[str, list[float]] = {metric: [] for metric in (*METRICS, "macs")}
    for network in ranked.networks:
        logits = np.stack([part.float().numpy() for part in shared.logits(network)])
        for metric, value in _measured(logits, shared.labels).items():
            scores[metric].append(value)
        scores["macs"].append(float(ranked.problem.cost.exact(network)[-1]))
    return scores


def own_scores(kind: str, network: int, seed: int, scale: Fidelity) -> dict[str, dict[str, float]]:
    """Train one network by itself, and return its scores on the fold's validation and test images."""
    ranked, device = Ranked.of(kind, scale), pick_device()
    config, data = ranked.config, ranked.data
    seed_everything(seed)
    net = build_network(ranked.problem.space.final.derive(ranked.networks[network]))
    if config.init_from is not None:
        load_matching(net, config.init_from)
    batches = Batches(data.train, config.train.batch_size, seed, augmenter(config))
    Trainer(net, config.train, batches, None, device, seed).run(SilentProgress())

    def on(examples: Examples) -> dict[str, float]:
        return _measured(predict(net, examples, device), examples.targets)

    return {"validation": on(data.val), "test": on(data.test)}


def _measured(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy and cross entropy of logits (exits, N, classes), the mean over exits: the search's own score."""
    own = np.take_along_axis(log_softmax(logits, axis=-1), labels[None, :, None], axis=-1)
    return {"accuracy": float((logits.argmax(-1) == labels).mean()), "cross_entropy": float(-own.mean())}
