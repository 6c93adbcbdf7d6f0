"""What a preset is: whole configurations that make sense together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.methods import METHODS, MethodSettings
from mango_grader.automl.spaces import SPACES
from mango_grader.datasets.augmentation import Augment
from mango_grader.training.recipe import TrainRecipe


@dataclass(frozen=True)
class Regime:
    """How pictures are shown (pixels, augmentation) and how the search's result is trained.

    search_batch: pictures per step of the shared weights.
    """

    height: int
    width: int
    train: TrainRecipe
    augment: Augment
    search_batch: int = 32
    rotate_portrait: bool = False


@dataclass(frozen=True)
class Preset:
    """A regime, and settings for each space and method by name; those without an entry have their published defaults.

    regimes: by method, where its paper has one of its own.
    """

    help: str
    regime: Regime
    spaces: Mapping[str, SpaceConfig] = field(default_factory=dict)
    methods: Mapping[str, MethodSettings] = field(default_factory=dict)
    regimes: Mapping[str, Regime] = field(default_factory=dict)

    def regime_of(self, method: str | None) -> Regime:
        """Return the method's own regime, or the common one."""
        return self.regimes.get(method or "", self.regime)

    def space(self, kind: str, height: int, width: int) -> SpaceConfig:
        """Return the space for pictures of that size, written for two classes; a run puts in its own number."""
        return replace(self.spaces.get(kind) or SPACES[kind](height, width, 2), height=height, width=width)

    def settings(self, method: str) -> MethodSettings:
        """Return the method's settings."""
        return self.methods.get(method) or METHODS[method].settings_type()
