"""SearchConfig: what is searched and how, the part of a run's configuration that only searches have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator

from mango_grader.automl.architecture import space_from_dict
from mango_grader.automl.limits import Limits
from mango_grader.automl.methods import METHODS, MethodSettings
from mango_grader.automl.objective import Objective
from mango_grader.automl.sandwich import SandwichRule
from mango_grader.automl.shortlist import ShortlistConfig
from mango_grader.automl.spaces import SPACES, SpaceConfig
from mango_grader.datasets.augmentation import Augment, Policy
from mango_grader.ranges import Count, Open, Ranged, Share
from mango_grader.settings import checked, plain
from mango_grader.training.recipe import FineTuning


@dataclass(frozen=True)
class MethodConfig:
    """A search method and its settings.

    Attributes:
        name: of the method, one of `METHODS`.
        settings: of that method's own type.
    """

    name: str
    settings: MethodSettings

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return {"name": self.name, **plain(self.settings)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "MethodConfig":
        """Rebuild from `to_dict`'s data."""
        settings = {key: value for key, value in data.items() if key != "name"}
        if data["name"] not in METHODS:
            raise ValueError(f"unknown method {data['name']!r}; choose from {', '.join(METHODS)}")
        return cls(data["name"], checked(METHODS[data["name"]].settings_type, settings, "method"))


def _space_from(data: Mapping[str, Any]) -> SpaceConfig:
    space_from_dict(data)  # raises where the kind or a setting is unknown
    return checked_space(data)


def checked_space(data: Mapping[str, Any]) -> SpaceConfig:
    """Return the space of `to_dict`'s data.

    Args:
        data: its kind and its settings.

    Raises:
        UsageError: a value does not fit, of the settings or of those of the final training.
    """
    kind, settings = SPACES[data["kind"]], {key: value for key, value in data.items() if key != "kind"}
    space = checked(kind, settings, "space")
    if space.final:
        checked(kind, {**settings, **space.final, "final": {}}, "space.final")
    return space


def coded(kind: type, read: Callable[[Mapping[str, Any]], object]) -> tuple[PlainValidator, PlainSerializer]:
    """Return how pydantic reads and writes a type that has its own `to_dict`.

    Args:
        kind: the type.
        read: makes a value of what `to_dict` returned.
    """
    return (
        PlainValidator(lambda value: value if isinstance(value, kind) else read(value)),
        PlainSerializer(lambda value: value.to_dict()),
    )


_METHOD = coded(MethodConfig, MethodConfig.from_dict)
_SPACE = coded(SpaceConfig, _space_from)


@dataclass(frozen=True)
class SearchConfig(Ranged):
    """What is searched, how, for which objective and within which limits.

    Attributes:
        method: the search method and its settings.
        space: the search space and its settings; the run puts in its own number of classes.
        batch_size: images in a training step of the shared weights.
        objective: what is maximised.
        limits: what the result must not exceed.
        cost: what counts as an architecture's cost: "macs" (multiply-accumulates) or "latency" (milliseconds,
            measured on this host).
        fit_width: search without regard to the limits, then widen or narrow the result until it just satisfies them,
            as some methods always do; otherwise the space is narrowed before it is searched.
        cutout_probability: of cutout while searching, 0..1; None takes the training's (MS-RANAS §4.1 studies both).
        policy: AutoAugment's tables while searching; None takes the training's (BetaNAS adds them after the search).
        sandwich: which paths share a step of the shared weights, and how they learn from the largest.
        inherit: whether the result starts from the super net's weights, where it has them; otherwise it is trained from
            scratch, or from `init_from`, as most papers do.
        fine_tune: how its training then differs from one from scratch.
        train_share: of the time that a budget leaves for search and training together, in (0, 1): how much of it is the
            training's.
        shortlist: how the final choice is made among the best that the search knows.

    Raises:
        RangeError: a value is outside its range.
        ValueError: the sandwich rule is on for a method that opens several candidates at once.
    """

    method: Annotated[MethodConfig, *_METHOD]
    space: Annotated[SpaceConfig, *_SPACE]
    batch_size: Count = 32
    objective: Objective = Objective()
    limits: Limits = Limits()
    cost: Literal["macs", "latency"] = "macs"
    fit_width: bool = False
    cutout_probability: Share | None = None
    policy: Policy | None = None
    sandwich: SandwichRule = SandwichRule()
    inherit: bool = True
    fine_tune: FineTuning = FineTuning()
    train_share: Open = 0.5
    shortlist: ShortlistConfig = ShortlistConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sandwich.drawn and not METHODS[self.method.name].opens_one_path:
            raise ValueError(
                f"sandwich.drawn must be 0 for {self.method.name}, whose weight steps open several candidates at once"
            )

    def ignored(self) -> Mapping[str, str]:
        """Return what the run decides, and what is for limits or inherited weights that there are not."""
        ignored = {"space.classes": "the data say how many classes there are"}
        if not self.inherit:
            ignored["fine_tune"] = "the result is trained from scratch; set search.inherit=true"
        if not self.limits:
            return ignored | {"fit_width": "there is no limit to fit; set one, such as --max-macs"}
        if METHODS[self.method.name].fits_width:
            return ignored | {"fit_width": f"{self.method.name} always fits the width of its result"}
        return ignored

    def augment(self, training: Augment) -> Augment:
        """Return how images are varied while searching.

        Args:
            training: how they are in the training of the result.
        """
        cutout, policy = self.cutout_probability, self.policy
        return replace(
            training,
            cutout_probability=training.cutout_probability if cutout is None else cutout,
            policy=policy or training.policy,
        )
