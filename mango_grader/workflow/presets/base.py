"""What a preset is: whole configurations that make sense together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mango_grader.automl.limits import Limits
from mango_grader.automl.methods import METHODS, MethodSettings
from mango_grader.automl.shortlist import ShortlistConfig
from mango_grader.automl.spaces import SPACES, SpaceConfig
from mango_grader.datasets.augmentation import Augment, Policy
from mango_grader.training.recipe import TrainRecipe


@dataclass(frozen=True)
class TrainingSetup:
    """How images are shown, and how the search's result is trained.

    Attributes:
        height: of the network's input, in pixels.
        width: of the network's input, in pixels.
        train: how the result is trained.
        augment: how training images are varied.
        search_batch: images in a training step of the shared weights.
        search_cutout: probability of cutout while searching; None takes the training's.
        search_policy: AutoAugment's tables while searching; None takes the training's.
        rotate_portrait: turn images that are higher than wide.
        teacher: of a search's result, where none is named; None for none.
    """

    height: int
    width: int
    train: TrainRecipe
    augment: Augment
    search_batch: int = 32
    rotate_portrait: bool = False
    search_cutout: float | None = None
    search_policy: Policy | None = None
    teacher: str | None = None


@dataclass(frozen=True)
class Preset:
    """Settings that make sense together, for every method and every space.

    Attributes:
        setup: how images are shown and the result is trained, whatever the method.
        spaces: settings by space; a space without an entry has its published ones.
        methods: settings by method; a method without an entry has its published ones.
        setups: by method, where its paper has a training setup of its own.
        inherit: whether a search's result starts from the super net's weights.
        limits: of a search for which no limit is given.
        shortlist: how the final choice of a search is made.
    """

    setup: TrainingSetup
    spaces: Mapping[str, SpaceConfig] = field(default_factory=dict)
    methods: Mapping[str, MethodSettings] = field(default_factory=dict)
    setups: Mapping[str, TrainingSetup] = field(default_factory=dict)
    inherit: bool = True
    limits: Limits = Limits()
    shortlist: ShortlistConfig = ShortlistConfig()

    def setup_of(self, method: str | None) -> TrainingSetup:
        """Return the training setup of a method: its own, or the common one."""
        return self.setups.get(method or "", self.setup)

    def setup_of_space(self, kind: str) -> TrainingSetup:
        """Return the training setup of the method whose paper a space is from, or the common one.

        Args:
            kind: of the space, one of `SPACES`.
        """
        own = (setup for name, setup in self.setups.items() if METHODS[name].default_space == kind)
        return next(own, self.setup)

    def space(self, kind: str, height: int, width: int) -> SpaceConfig:
        """Return a space for two classes; a run puts in its own number.

        Args:
            kind: of the space, one of `SPACES`.
            height: of the network's input, in pixels.
            width: of the network's input, in pixels.
        """
        return replace(self.spaces.get(kind) or SPACES[kind](height, width, 2), height=height, width=width)

    def settings(self, method: str) -> MethodSettings:
        """Return the settings of a method."""
        return self.methods.get(method) or METHODS[method].settings_type()
