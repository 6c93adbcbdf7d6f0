"""What a user would train instead of searching."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.lib.gap.ideas import WIDER
from mango_grader import SearchOptions
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.workflow.comparison.entries import Trained
from mango_grader.workflow.config import RunConfig

_FINE_TUNED = ("train.weights.lr=0.001",)
_BEST = ("train.epochs=120", *_FINE_TUNED, *WIDER)


@dataclass(frozen=True)
class Alternative:
    """What a user would train instead: a known network and how; `size` in pixels of either side."""

    network: str
    settings: tuple[str, ...] = ()
    init_from: str | None = None
    teacher: str | None = None
    size: int = 128

    def config(self, options: SearchOptions) -> RunConfig:
        own = replace(
            options,
            settings=self.settings,
            init_from=self.init_from,
            teacher=self.teacher,
            size=(self.size, self.size),
        )
        return Trained(self.network).config(own)


ALTERNATIVES: Mapping[str, Alternative] = {
    "MSDNet of 88 pixels": Alternative("msdnet", size=88),
    "EfficientNet-Lite0": Alternative(
        "efficientnet_lite0", ("train.epochs=20", "train.weights.lr=0.0005"), EFFICIENTNET_LITE0
    ),
    "front": Alternative("efficientnet_lite0_front_halved", ("train.epochs=40", *_FINE_TUNED), EFFICIENTNET_LITE0),
    "front with a teacher": Alternative(
        "efficientnet_lite0_front_halved",
        (*_BEST, "teacher.height=128", "teacher.width=128"),
        EFFICIENTNET_LITE0,
        EFFICIENTNET_LITE0,
    ),
    "front with a teacher of 224 pixels": Alternative(
        "efficientnet_lite0_front_halved", _BEST, EFFICIENTNET_LITE0, EFFICIENTNET_LITE0
    ),
}
