"""From a preset and a few words to a whole RunConfig: what the command line's options and the Python API mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mango_grader.automl.architecture import Architecture, SpaceConfig
from mango_grader.automl.graph import SearchGraph
from mango_grader.automl.limits import Limits
from mango_grader.automl.methods import METHODS
from mango_grader.automl.objective import Metric, Objective, Over
from mango_grader.automl.spaces import SPACES, SearchSpace
from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.files import read_json
from mango_grader.models.baselines import BASELINES
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.ranges import Count, Pixels, Positive, Ranged, Seed
from mango_grader.workflow.config import DataConfig, MethodConfig, Places, RunConfig, SearchConfig, TeacherConfig
from mango_grader.workflow.presets import PRESETS, Preset


@dataclass(frozen=True, kw_only=True)
class RunOptions(Ranged):
    """What every run can be told; the preset says the rest.

    data: folder of graded photos. group_by, ordinal, fold: see `read_dataset` and `make_split`. budget: seconds.
    size: (height, width) of the network's input in pixels. teacher, unlabelled: see `TeacherConfig`.
    init_from: a finished run folder, or the name of ImageNet weights, to start from as far as it fits. refit: see
    `RunConfig`. settings: "name=value" for any setting. split_seed: of the split alone, where runs of several seeds
    shall share it; `seed` unless given.
    """

    data: str
    group_by: str | None = None
    ordinal: bool | None = None
    fold: tuple[Count, Count] | None = None
    preset: str = "quick"
    budget: Positive | None = None
    seed: Seed = 0
    device: str = "auto"
    size: tuple[Pixels, Pixels] | None = None
    teacher: str | None = None
    unlabelled: str | None = None
    init_from: str | None = None
    refit: bool = False
    settings: Sequence[str] = ()
    split_seed: Seed | None = None

    def _preset(self) -> Preset:
        if self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset}: choose from {', '.join(PRESETS)}")
        return PRESETS[self.preset]

    def _base(self, method: str | None = None) -> RunConfig:
        regime = self._preset().regime_of(method)
        height, width = self.size or (regime.height, regime.width)
        data = DataConfig(
            str(Path(self.data).resolve()),
            self.group_by,
            self.ordinal,
            self.fold,
            self.seed if self.split_seed is None else self.split_seed,
            height,
            width,
            regime.rotate_portrait,
        )
        config = RunConfig(data, regime.train, regime.augment, self.preset, self.seed, self.device, self.budget)
        return replace(config, teacher=self._teacher(), init_from=_start(self.init_from), refit=self.refit)

    def _teacher(self) -> TeacherConfig | None:
        if self.teacher is None:
            if self.unlabelled is not None:
                raise UsageError("--unlabelled DIR: name who tells what its pictures show: --teacher")
            return None
        return TeacherConfig(_source(self.teacher), unlabelled=_whole(self.unlabelled))


@dataclass(frozen=True, kw_only=True)
class SearchOptions(RunOptions):
    """What a search can be told besides.

    space: the one of the method's paper unless named. metric and over: see `Objective`. cost: see `SearchConfig`.
    max_params, max_macs, max_latency: see `Limits`.
    """

    method: str = "random"
    space: str | None = None
    metric: Metric = "accuracy"
    over: Over = "mean"
    cost: Literal["macs", "latency"] = "macs"
    max_params: Count | None = None
    max_macs: Count | None = None
    max_latency: Positive | None = None

    def config(self) -> RunConfig:
        """Return the whole configuration; raises UsageError for names or values that do not exist or do not fit."""
        if self.method not in METHODS:
            raise UsageError(f"--method {self.method}: choose from {', '.join(METHODS)}")
        method, preset, base = METHODS[self.method], self._preset(), self._base(self.method)
        kind = self.space or method.default_space
        if kind not in SPACES:
            raise UsageError(f"--space {kind}: choose from {', '.join(SPACES)}")
        search = SearchConfig(
            MethodConfig(self.method, preset.settings(self.method)),
            preset.space(kind, base.data.height, base.data.width),
            preset.regime_of(self.method).search_batch,
            Objective(self.metric, self.over),
            Limits(self.max_params, self.max_macs, self.max_latency),
            self.cost,
        )
        config = replace(base, search=search).with_settings(self.settings)
        if config.search is not None:
            _check_exit_weights(config, len(_graph_of(config.search.space).exits))
        if config.search is not None and (reason := method.check_space(config.search.space)):
            raise UsageError(f"--method {self.method} --space {kind}: {reason}")
        return config


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """What a training can be told besides: one of an architecture file and a baseline's name."""

    architecture: str | None = None
    baseline: str | None = None

    def config(self) -> RunConfig:
        """Return the whole configuration; raises UsageError for files, names or values that do not fit."""
        base = self._base().with_settings(self.settings)
        classes = len(read_dataset(base.data.path, base.data.group_by, base.data.ordinal).classes)
        if (self.architecture is None) == (self.baseline is None):
            raise UsageError("name what to train: --architecture FILE or --baseline NAME")
        if self.baseline is not None:
            if self.baseline not in BASELINES:
                raise UsageError(f"--baseline {self.baseline}: choose from {', '.join(BASELINES)}")
            network = BASELINES[self.baseline]((3, base.data.height, base.data.width), classes)
            return _check_exit_weights(replace(base, network=network), len(network.exits))
        found = _read_architecture(str(self.architecture))
        height, width = self.size or (found.space.height, found.space.width)
        space = replace(found.space, height=height, width=width, classes=classes)
        network = SearchSpace(space).derive(Architecture(space, found.choices))
        config = replace(base, data=replace(base.data, height=height, width=width), network=network)
        return _check_exit_weights(config, len(network.exits))


def _graph_of(space: SpaceConfig) -> SearchGraph:
    """Return the space's graph; raises UsageError where each setting is in its range and all together make none."""
    try:
        return SearchSpace(space).graph
    except ValueError as error:
        raise UsageError(f"--space {space.kind}: its settings make no network: {error}") from error


def _check_exit_weights(config: RunConfig, exits: int) -> RunConfig:
    """Return the configuration if its exit weights are as many as its networks have exits, or none."""
    weights = config.train.exit_weights
    if weights and len(weights) != exits:
        raise UsageError(f"train.exit_weights: the networks have {exits} exits, so give {exits} weights or none")
    teacher = config.teacher.recipe.exit_weights if config.teacher else ()
    if len(teacher) > 1:
        raise UsageError("teacher.recipe.exit_weights: a torchvision model has one exit, so give one weight or none")
    return config


def find_places(
    data: str | None = None, init_from: str | None = None, teacher: str | None = None, unlabelled: str | None = None
) -> Places:
    """Return whole paths of what is named; raises UsageError for a teacher that is not there."""
    return Places(_whole(data), _start(init_from), None if teacher is None else _source(teacher), _whole(unlabelled))


def _whole(path: str | None) -> str | None:
    return path and str(Path(path).resolve())


def _start(name: str | None) -> str | None:
    return name if name == EFFICIENTNET_LITE0 else _whole(name)


def _source(name: str) -> str:
    """Return a file's or folder's whole path, or the name of a model."""
    path = Path(name)
    if path.exists():
        return str(path.resolve())
    if path.suffix or len(path.parts) > 1:
        raise UsageError(f"--teacher {name}: no such run folder or file")
    return name


def _read_architecture(path: str) -> Architecture:
    try:
        return Architecture.from_dict(read_json(path))
    except OSError as error:
        raise UsageError(f"--architecture {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--architecture {path} holds no architecture: {error}") from error
