"""From a preset and a few options to a whole RunConfig: what the command line and the Python API accept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import SearchGraph
from mango_grader.automl.limits import Limits
from mango_grader.automl.methods import METHODS
from mango_grader.automl.objective import Metric, Objective, Over
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SPACES, SpaceConfig
from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.files import read_json
from mango_grader.models.baselines import BASELINES, PRETRAINED
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.ranges import Count, Pixels, Positive, Ranged, Seed
from mango_grader.workflow.config import (
    AUTO,
    DataConfig,
    Places,
    RetrainOnAll,
    RunConfig,
    TeacherConfig,
    changed_space,
)
from mango_grader.workflow.presets import PRESETS, Preset, TrainingSetup
from mango_grader.workflow.search_config import MethodConfig, SearchConfig

NONE = "none"
"""What a teacher, or initial weights, are called where there are to be none."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(Ranged):
    """The options of every run; the preset decides the rest.

    Attributes:
        data: folder of labelled images, or a CSV that names them.
        group_by: what must stay on one side of a split: COLUMN, FILE.csv:COLUMN, re:PATTERN or "none"; None finds
            photos of the same fruit.
        ordinal: whether the classes have an order; None tells it from their names.
        fold: (K, N), test on fold K of N; None for one split.
        preset: "quick", "standard", "paper", "paper-120x160" or "paper-imagenet".
        budget: seconds from the start to the written bundle; None takes as long as the settings need.
        seed: of the split, the search and the training.
        device: "auto", "cpu", "cuda" or "cuda:N".
        size: (height, width) of the network's input in pixels; None takes the preset's.
        teacher: a finished run folder, a .mango or .onnx file, or the name of a published network, whose answers the
            final training learns from; "auto" chooses one by the time that there is, "none" has none, and None takes
            the preset's for a search.
        unlabelled: folder of further images, of which only the teacher's answers are learned; needs a teacher.
        init_from: a finished run folder, or the name of ImageNet weights, to start from as far as it fits; "auto" takes
            ImageNet's where the space or the baseline has some, "none" or None starts afresh.
        retrain_on_all: train the result a second time, on training and validation images together.
        settings: "name=value" for any other setting, as --set takes them.
        split_seed: of the split alone, for runs of several seeds that share it; None takes `seed`.
        labels: CSV of reviewed labels, which correct those of the folder; None for none.
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
    init_from: str | None = AUTO
    retrain_on_all: RetrainOnAll = False
    settings: Sequence[str] = ()
    split_seed: Seed | None = None
    labels: str | None = None

    def _preset(self) -> Preset:
        if self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset}: choose from {', '.join(PRESETS)}")
        return PRESETS[self.preset]

    def _base(self, setup: TrainingSetup) -> RunConfig:
        height, width = self.size or (setup.height, setup.width)
        data = DataConfig(
            str(Path(self.data).resolve()),
            self.group_by,
            self.ordinal,
            self.fold,
            self.seed if self.split_seed is None else self.split_seed,
            height,
            width,
            setup.rotate_portrait,
            _whole(self.labels),
        )
        config = RunConfig(data, setup.train, setup.augment, self.preset, self.seed, self.device, self.budget)
        return replace(
            config, teacher=self._teacher(), init_from=_start(self.init_from), retrain_on_all=self.retrain_on_all
        )

    def _teacher(self) -> TeacherConfig | None:
        source = self.teacher or self._usual_teacher
        if source is None or source == NONE:
            if self.unlabelled is not None:
                raise UsageError("--unlabelled DIR needs a teacher that labels its images; name one with --teacher")
            return None
        return TeacherConfig(_source(source), unlabelled=_whole(self.unlabelled))

    @property
    def _usual_teacher(self) -> str | None:
        """The teacher where none is named."""
        return None


@dataclass(frozen=True, kw_only=True)
class SearchOptions(RunOptions):
    """The options of a search.

    Attributes:
        method: the search method, one of `METHODS`.
        space: the search space, one of `SPACES`; None takes that of the method's paper, and "lite" for random.
        metric: what is maximised: "accuracy", "balanced_accuracy" or "kappa".
        over: how the scores of the exits are combined: "last", "mean", or "area" under the curve over cost.
        cost: of an architecture: "macs" (multiply-accumulates) or "latency" (milliseconds on this host).
        max_params: parameters that the result may have; None for any number.
        max_macs: multiply-accumulates for one image that the result may need; "none" for any number, and None for those
            of the preset where no limit is given at all.
        max_latency: milliseconds for one image on one thread of this host that the result may take.

    Example:
        >>> config = SearchOptions(data="mangos", method="spos", max_params=350_000).config()
        >>> config.search.space.kind
        'shufflenet'
    """

    method: str = "random"
    space: str | None = None
    metric: Metric = "accuracy"
    over: Over = "mean"
    cost: Literal["macs", "latency"] = "macs"
    max_params: Count | None = None
    max_macs: int | Literal["none"] | None = None
    max_latency: Positive | None = None

    @property
    def _usual_teacher(self) -> str | None:
        return self._preset().setup_of(self.method).teacher

    def config(self) -> RunConfig:
        """Return the whole configuration; raises UsageError for names or values that do not exist or do not fit."""
        if self.method not in METHODS:
            raise UsageError(f"--method {self.method}: choose from {', '.join(METHODS)}")
        method, preset = METHODS[self.method], self._preset()
        setup = preset.setup_of(self.method)
        base = self._base(setup)
        kind = self.space or method.default_space
        if kind not in SPACES:
            raise UsageError(f"--space {kind}: choose from {', '.join(SPACES)}")
        search = SearchConfig(
            MethodConfig(self.method, preset.settings(self.method)),
            preset.space(kind, base.data.height, base.data.width),
            setup.search_batch,
            Objective(self.metric, self.over),
            self._limits(preset),
            self.cost,
            cutout_probability=setup.search_cutout,
            policy=setup.search_policy,
            inherit=preset.inherit,
            shortlist=preset.shortlist,
        )
        config = replace(base, search=search).with_settings(self.settings)
        if not config.train.epochs and not self._asks_for_teacher:
            config = replace(config, teacher=None)  # nothing is trained that it could teach
        if config.search is not None:
            for graph in _graphs_of(config.search.space):
                _check_training(config, len(graph.exits))
        if config.search is not None and (reason := method.check_space(config.search.space)):
            raise UsageError(f"--method {self.method} --space {kind}: {reason}")
        if config.search is not None:
            _check_cost(config.search)
            config = _settled_start(config, config.search.space.pretrained)
        return config

    @property
    def _asks_for_teacher(self) -> bool:
        """Whether an option is about the teacher, which is then not only the preset's."""
        about = any(each.startswith("teacher.") for each in self.settings)
        return about or self.teacher is not None or self.unlabelled is not None

    def _limits(self, preset: Preset) -> Limits:
        """Return the limits that are given, or else those of the preset."""
        given = Limits(self.max_params, None if self.max_macs == "none" else self.max_macs, self.max_latency)
        return given if given or self.max_macs == "none" else preset.limits


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """The options of a training without a search: an architecture or a baseline.

    Attributes:
        architecture: path of an architecture.json; settings "space.name=value" change the space in which its choices
            are taken, for example to a deeper one.
        baseline: name of a network that others published, one of `BASELINES`.
    """

    architecture: str | None = None
    baseline: str | None = None

    def config(self) -> RunConfig:
        """Return the whole configuration; raises UsageError for files, names or values that do not fit."""
        if (self.architecture is None) == (self.baseline is None):
            raise UsageError("pass what to train: --architecture FILE or --baseline NAME")
        return self._of_baseline(self.baseline) if self.baseline else self._of_architecture(str(self.architecture))

    def _of_baseline(self, name: str) -> RunConfig:
        base = self._base(self._preset().setup).with_settings(self.settings)
        if name not in BASELINES:
            raise UsageError(f"--baseline {name}: choose from {', '.join(BASELINES)}")
        network = BASELINES[name]((3, base.data.height, base.data.width), _classes(base))
        config = _settled_start(replace(base, network=network), name in PRETRAINED)
        return _check_training(config, len(network.exits))

    def _of_architecture(self, path: str) -> RunConfig:
        found = _read_architecture(path)
        of_space = [each for each in self.settings if each.startswith("space.")]
        others = [each for each in self.settings if not each.startswith("space.")]
        base = self._base(self._preset().setup_of_space(found.space.kind)).with_settings(others)
        height, width = self.size or (found.space.height, found.space.width)
        space = replace(_resized(found.space, of_space), height=height, width=width, classes=_classes(base))
        try:
            network = SearchSpace(space).derive(found.within(space))
        except ValueError as error:
            raise UsageError(f"--architecture {path} does not fit what --set makes of its space: {error}") from error
        config = replace(base, data=replace(base.data, height=height, width=width), network=network)
        config = _settled_start(config, found.space.pretrained)
        return _check_training(config, len(network.exits))


def _classes(config: RunConfig) -> int:
    return len(read_dataset(config.data.path, config.data.group_by, config.data.ordinal).classes)


def _resized(space: SpaceConfig, assignments: Sequence[str]) -> SpaceConfig:
    """Return the space with `assignments` in place; raises UsageError for what the data or other options decide."""
    for each in assignments:
        if each.startswith(("space.height=", "space.width=", "space.classes=", "space.final=", "space.final.")):
            raise UsageError(f"--set {each}: --size sets height and width, the data the classes; change other settings")
    return changed_space(space, assignments)


def _check_cost(search: SearchConfig) -> None:
    """Raise UsageError where a cost is named that this search would not look at."""
    settings = search.method.settings
    if search.cost == "macs" or search.objective.over == "area" or settings.weighs_cost:
        return
    ways = ([f"--set method.{settings.cost_setting}"] if settings.cost_setting else []) + ["--over area"]
    raise UsageError(
        f"--cost {search.cost}: {search.method.name} weighs costs only with {' or '.join(ways)}; "
        "add that, or limit the result by --max-latency instead"
    )


def _graphs_of(space: SpaceConfig) -> tuple[SearchGraph, SearchGraph]:
    """Return what is searched and what is trained; raises UsageError where settings together make no network."""
    try:
        searched = SearchSpace(space)
        return searched.graph, searched.final.graph
    except ValueError as error:
        raise UsageError(f"--space {space.kind}: these settings together make no network: {error}") from error


def _check_training(config: RunConfig, exits: int) -> RunConfig:
    """Return the configuration if its training looks at all of it: exit weights, teacher, a second training."""
    weights = config.train.exit_weights
    if weights and len(weights) != exits:
        raise UsageError(f"train.exit_weights: the networks have {exits} exits, so give {exits} weights or none")
    if not config.train.epochs and (config.teacher is not None or config.retrain_on_all):
        raise UsageError("train.epochs=0 trains nothing: leave out --teacher and --retrain-on-all, or give epochs")
    teacher = config.teacher.recipe.exit_weights if config.teacher else ()
    if len(teacher) > 1:
        raise UsageError("teacher.recipe.exit_weights: a torchvision model has one exit, so give one weight or none")
    return config


def find_places(
    data: str | None = None, init_from: str | None = None, teacher: str | None = None, unlabelled: str | None = None
) -> Places:
    """Return absolute paths of what is given.

    Args:
        data: folder or CSV of labelled images.
        init_from: run folder, or the name of ImageNet weights.
        teacher: run folder, file, or the name of a torchvision model.
        unlabelled: folder of unlabelled images.

    Raises:
        UsageError: the teacher is neither there nor a plain name.
    """
    return Places(_whole(data), _start(init_from), None if teacher is None else _source(teacher), _whole(unlabelled))


def _whole(path: str | None) -> str | None:
    return path and str(Path(path).resolve())


def _start(name: str | None) -> str | None:
    if name == NONE:
        return None
    return name if name in (EFFICIENTNET_LITE0, AUTO) else _whole(name)


def _settled_start(config: RunConfig, pretrained: bool) -> RunConfig:
    """Return the configuration without "auto" where there are no ImageNet weights for its networks."""
    if config.init_from != AUTO or pretrained:
        return config
    try:
        return replace(config, init_from=None)
    except ValueError as error:  # no epochs, and now no weights to start from
        raise UsageError(str(error)) from error


def _source(name: str) -> str:
    """Return a file's or folder's whole path, or the name of a model."""
    path = Path(name)
    if name == AUTO:
        return name
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
