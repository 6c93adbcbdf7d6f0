"""RunConfig: everything that decides a run's result, as plain data that is saved beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from mango_grader.automl.spaces import SpaceConfig
from mango_grader.datasets.augmentation import Augment
from mango_grader.errors import UsageError
from mango_grader.models.spec import NetworkSpec
from mango_grader.ranges import (
    Count,
    CountOrNone,
    NotNegative,
    Open,
    Pixels,
    Positive,
    Ranged,
    Seed,
    Share,
)
from mango_grader.settings import checked, plain
from mango_grader.training.recipe import Distillation, TrainRecipe, WeightRecipe
from mango_grader.workflow.ignored import refuse_ignored
from mango_grader.workflow.search_config import SearchConfig, checked_space, coded

# Names of settings in configurations of earlier versions, which are still read.
_RENAMED = {"refit": "retrain_on_all"}

AUTO = "auto"
"""What --teacher and --init-from are called where the program chooses: by the time that there is, and by what fits."""

RetrainOnAll = Annotated[bool, Field(validation_alias=AliasChoices("retrain_on_all", "refit"))]
"""Whether the network is trained a second time, on the training and validation images together."""


_NETWORK = coded(NetworkSpec, NetworkSpec.from_dict)


@dataclass(frozen=True)
class DataConfig(Ranged):
    """Where the images are, how they are split, and at what size networks see them.

    Attributes:
        path: folder of labelled images, or a CSV that names them.
        group_by: what must stay on one side of a split: COLUMN, FILE.csv:COLUMN, re:PATTERN or "none";
            see `read_dataset`. None finds photos of the same fruit.
        ordinal: whether the classes have an order; None tells it from their names.
        fold: (K, N), test on fold K of N; None for one split.
        split_seed: of the split.
        height: of the network's input, in pixels.
        width: of the network's input, in pixels.
        rotate_portrait: turn images that are higher than wide.
        labels: CSV of reviewed labels, which correct those of the folder; the run keeps a copy. None for none.

    Raises:
        RangeError: a value is outside its range.
        ValueError: `fold` is no K of N with K in 1..N and N of 2 or more.
    """

    path: str
    group_by: str | None = None
    ordinal: bool | None = None
    fold: tuple[Count, Count] | None = None
    split_seed: Seed = 0
    height: Pixels = 128
    width: Pixels = 128
    rotate_portrait: bool = False
    labels: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold is not None and (self.fold[0] > self.fold[1] or self.fold[1] < 2):
            raise ValueError(
                f"fold must be K of N with K in 1..N and N 2 or more, not {self.fold[0]} of {self.fold[1]}"
            )


# A smoothed teacher tells less about which classes are alike (Müller et al. 2019).
_FINE_TUNING = TrainRecipe(
    epochs=15,
    weights=WeightRecipe("adamw", lr=5e-4, warmup=0.1, weight_decay=0.05, decay_norms=False, clip=5.0),
    label_smoothing=0.0,
)


@dataclass(frozen=True)
class TeacherConfig(Ranged):
    """The teacher of the final training, and how its answers count.

    Knowledge distillation as in Hinton et al. 2015; consistent and patient as in Beyer et al. 2022.

    Attributes:
        source: a finished run folder, a .mango or .onnx file, or the name of a published network: "efficientnet-lite0"
            or that of a torchvision model; "auto" is EfficientNet-Lite0 as far as a part of the budget allows.
        weight: share of the teacher's answers in the loss, 0..1; the labels have the rest.
        temperature: by which the logits of teacher and student are divided; more than 1 softens them.
        views: augmented epochs that the teacher answers once and that the training then repeats; 0 asks it anew in
            every epoch.
        height: input height in pixels of an ONNX file that leaves it open, where None takes the run's own, or of a
            published network, where None takes that on which it learned.
        width: input width, likewise.
        mean: by channel, subtracted from the inputs (0..1) of an ONNX file that does not take bytes.
        std: by channel, that those inputs are then divided by.
        mixup: α of Beta(α, α), the share of each image that another image of its batch leaves of it; 0 mixes none. Only
            the teacher can answer such images, so `weight` must be 1 (function matching, Beyer et al. 2022, §3.1).
        recipe: how a published network is fine-tuned before it teaches.
        unlabelled: folder of further images; only the teacher's answers to them are learned.
        unlabelled_share: of each batch, in (0, 1), that those fill; an epoch is one pass over the labelled images, so
            that it has more batches.

    Raises:
        RangeError: a value is outside its range.
        ValueError: images are mixed, and labels count.
    """

    source: str
    weight: Share = 0.7
    temperature: Positive = 2.0
    views: CountOrNone = 20
    height: Pixels | None = None
    width: Pixels | None = None
    mean: tuple[Share, Share, Share] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    mixup: NotNegative = 0.0
    recipe: TrainRecipe = _FINE_TUNING
    unlabelled: str | None = None
    unlabelled_share: Open = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mixup and self.weight < 1:
            raise ValueError("teacher.mixup mixes images, which no label fits; set teacher.weight=1, too")

    def ignored(self) -> Mapping[str, str]:
        """Return what is for another kind of teacher, or for images that there are not."""
        suffix, ignored = Path(self.source).suffix, dict[str, str]()
        ours = suffix == ".mango" or Path(self.source).is_dir()
        if suffix != ".onnx":
            ignored |= dict.fromkeys(("mean", "std"), "the teacher knows them; only an .onnx file has to be told")
        if ours:
            ignored |= dict.fromkeys(("height", "width"), "the teacher knows the size of its images")
        if ours or suffix == ".onnx":
            ignored["recipe"] = "the teacher is trained already; only a published network is fine-tuned"
        if self.unlabelled is None:
            ignored["unlabelled_share"] = "there are no unlabelled images; pass --unlabelled"
        return ignored

    @property
    def distillation(self) -> Distillation:
        """How its answers count."""
        return Distillation(self.weight, self.temperature)


@dataclass(frozen=True)
class Places:
    """Where the things are that a run is made from, for a resumed run whose things were moved.

    Attributes:
        data: folder or CSV of labelled images; None if it has not moved.
        init_from: run folder, or the name of ImageNet weights.
        teacher: run folder, file, or the name of a torchvision model.
        unlabelled: folder of unlabelled images.
    """

    data: str | None = None
    init_from: str | None = None
    teacher: str | None = None
    unlabelled: str | None = None


@dataclass(frozen=True)
class RunConfig(Ranged):
    """Everything that decides the result of a run: a search and the training of its result, or a training alone.

    Attributes:
        data: the images, their split and their size.
        train: how the final network is trained.
        augment: how training images are varied.
        preset: name of the preset that the settings came from.
        seed: of the split, the search and the training; the same seed gives the same result on the same CPU.
        device: "auto", "cpu", "cuda" or "cuda:N".
        budget: seconds from the start to the written bundle; None takes as long as the settings need.
        search: what is searched and how; None trains `network` as it is.
        network: the network to train; None where it is searched.
        init_from: a finished run folder, or the name of ImageNet weights, from which search and training start.
        teacher: whose answers the final training learns from besides the labels; None for the labels alone.
        retrain_on_all: whether the network is trained a second time, on training and validation images together.
            Calibration and validation figures are those of the first training.
        checkpoint_every: seconds of work that a kill may cost, 0 or more; 0 saves after every round and epoch.

    Raises:
        RangeError: a value is outside its range.
        ValueError: batches have no room for both labelled and unlabelled images, or there are neither epochs nor
            weights to start from.
    """

    data: DataConfig
    train: TrainRecipe
    augment: Augment
    preset: str = "quick"
    seed: Seed = 0
    device: str = "auto"
    budget: Positive | None = None
    search: SearchConfig | None = None
    network: Annotated[NetworkSpec, *_NETWORK] | None = None
    init_from: str | None = None
    teacher: TeacherConfig | None = None
    retrain_on_all: RetrainOnAll = False
    checkpoint_every: NotNegative = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher is not None and self.teacher.unlabelled is not None and self.train.batch_size < 2:
            raise ValueError("train.batch_size must be 2 or more where unlabelled images fill part of each batch")
        if not self.train.epochs and self.init_from is None:
            raise ValueError(
                "train.epochs=0 leaves the network untrained; give 1 or more epochs, or weights with --init-from"
            )

    def ignored(self) -> Mapping[str, str]:
        """Return what options decide, what parts of a search that must agree do not, and what follows no training."""
        ignored = {"preset": "--preset chooses a preset's settings"}
        if self.search is not None:
            space = self.search.space
            for side in ("height", "width"):
                if getattr(space, side) != getattr(self.data, side):
                    reason = "the network's input has the size of --size"
                    ignored |= {f"data.{side}": reason, f"search.space.{side}": reason}
            if self.budget is None:
                for name in ("train_share", "shortlist.share", "fine_tune.steps"):
                    ignored[f"search.{name}"] = "it divides a budget; pass --budget"
            if not self.augment.cutout:
                ignored["search.cutout_probability"] = "there are no holes; set augment.cutout, too"
        if not self.train.epochs:
            ignored["teacher"] = ignored["retrain_on_all"] = "nothing is trained; set train.epochs above 0"
        return ignored

    @property
    def distillation(self) -> Distillation | None:
        """How the teacher's answers count, if there is one."""
        return self.teacher.distillation if self.teacher else None

    @property
    def places(self) -> Places:
        """Where its data, initial weights and teacher are."""
        teacher, unlabelled = (self.teacher.source, self.teacher.unlabelled) if self.teacher else (None, None)
        return Places(self.data.path, self.init_from, teacher, unlabelled)

    def at(self, places: Places) -> "RunConfig":
        """Return the same configuration with data, initial weights and teacher at `places`, where given."""
        data = replace(self.data, path=places.data or self.data.path)
        teacher = self.teacher and replace(
            self.teacher,
            source=places.teacher or self.teacher.source,
            unlabelled=self.teacher.unlabelled and (places.unlabelled or self.teacher.unlabelled),
        )
        return replace(
            self, data=data, teacher=teacher, init_from=self.init_from and (places.init_from or self.init_from)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        data: dict[str, Any] = plain(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RunConfig":
        """Rebuild from `to_dict`'s data; raises UsageError where a value does not fit."""
        return checked(cls, data)

    def with_settings(self, assignments: Sequence[str]) -> "RunConfig":
        """Return the configuration with settings changed.

        Args:
            assignments: "name=value", for example "train.epochs=20" or "space.depth=8". "method." and "space." stand
                for "search.method." and "search.space."; values are JSON, or else plain text.

        Raises:
            UsageError: there is no such setting (the message names those that there are), the value does not fit, or
                the setting would have no effect.
        """
        data, changed = self.to_dict(), dict[str, str]()
        for assignment in assignments:
            path, value = _parsed(assignment)
            whole = ["search", *path] if path[0] in ("method", "space") else path
            if _assign(data, whole, value, assignment):
                changed[".".join(whole)] = assignment
        config = self.from_dict(data)
        for name, assignment in changed.items():
            refuse_ignored(config, name, assignment)
        return config


def changed_space(space: SpaceConfig, assignments: Sequence[str]) -> SpaceConfig:
    """Return a space with settings changed.

    Args:
        space: the space.
        assignments: "space.name=value", for example "space.depth=20".

    Raises:
        UsageError: there is no such setting, or the value does not fit.
    """
    data: dict[str, Any] = {"space": {**space.to_dict()}}
    for assignment in assignments:
        _assign(data, *_parsed(assignment), assignment)
    return checked_space(data["space"])


def _parsed(assignment: str) -> tuple[list[str], Any]:
    """Return the path to a setting and its value."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise UsageError(f"--set {assignment}: write name=value, for example --set train.epochs=20")
    first, *rest = name.split(".")
    return [_RENAMED.get(first, first), *rest], _value(text)


def _assign(data: dict[str, Any], path: Sequence[str], value: Any, assignment: str) -> bool:
    """Put a value in its place, and return whether it is another one than before."""
    *parents, last = path
    place: Any = data
    for part in parents:
        place = place.get(part) if isinstance(place, dict) else None
    if isinstance(place, dict) and (parents[-1:] == ["final"] or (last == "final" and isinstance(value, dict))):
        place[last] = value  # it may hold any setting of its space, which checks them
        return True
    if not isinstance(place, dict) or last not in place or isinstance(place[last], dict):
        known = [key for key, item in place.items() if not isinstance(item, dict)] if isinstance(place, dict) else data
        raise UsageError(f"--set {assignment}: no such setting; there are {', '.join(known)}")
    before, place[last] = place[last], value
    return bool(before != value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [_value(part) for part in text.split(",")] if "," in text else text
