"""Presets: whole configurations that make sense together, from minutes on two cores to the paper's own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.methods import EnasSettings, MethodSettings, RandomSettings
from mango_grader.automl.samplers import ControllerSettings
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.datasets.augment import Augment
from mango_grader.training.recipe import TrainRecipe, WeightRecipe


@dataclass(frozen=True)
class Preset:
    """Input size, space, settings per method, and the training of the result.

    `space` is written for two classes; a run puts in its own number.
    """

    help: str
    height: int
    width: int
    space: SpaceConfig
    methods: Mapping[str, MethodSettings]
    train: TrainRecipe
    augment: Augment
    rotate_portrait: bool = False
    search_batch: int = 32


def _compact(
    height: int, width: int, channels: int, stem: int, exits: tuple[int, ...], dilations: tuple[int, ...]
) -> LayerwiseConfig:
    return LayerwiseConfig(
        height,
        width,
        classes=2,
        channels=channels,
        widen=1.6,
        stem_stride=2,
        stem_channels=stem,
        reduce_at=(1, 2, 7),
        kernels=(3, 5, 7),
        dilations=dilations,
        exits=exits,
    )


_SHARED_ADAMW = WeightRecipe(optimiser="adamw", lr=3e-3, warmup=0.05, weight_decay=0.05, decay_norms=False, clip=5.0)
# MNet's rate for the controller, 0.1, collapses it within some 50 steps (tests/contracts/planted.py shows it).
_CONTROLLER = ControllerSettings(lr=0.01, baseline_decay=0.9)

QUICK = Preset(
    help="two CPU cores, minutes: 128×128 pixels, a compact space",
    height=128,
    width=128,
    # Dilated depthwise convolutions train at half the speed on CPUs, and five halvings see far enough without.
    space=_compact(128, 128, channels=48, stem=24, exits=(3, 6, 12), dilations=(1,)),
    methods={
        "enas": EnasSettings(epochs=30, steps=75, paths=4, samples=30, weights=_SHARED_ADAMW, controller=_CONTROLLER),
        "random": RandomSettings(epochs=30, samples=100, weights=_SHARED_ADAMW),
    },
    train=TrainRecipe(epochs=60),
    augment=Augment(),
)

STANDARD = Preset(
    help="one GPU, about an hour: 224×224 pixels, wider and longer",
    height=224,
    width=224,
    space=_compact(224, 224, channels=64, stem=32, exits=(3, 6, 9, 12), dilations=(1, 2)),
    methods={
        "enas": EnasSettings(
            epochs=100, steps=2000, paths=4, samples=100, weights=_SHARED_ADAMW, controller=_CONTROLLER
        ),
        "random": RandomSettings(epochs=100, samples=500, weights=_SHARED_ADAMW),
    },
    train=TrainRecipe(epochs=200, batch_size=64),
    augment=Augment(),
    search_batch=64,
)

# MNet §3–4 and Table 1: 80 % / 20 % of the training part, SGD throughout, horizontal flips, portrait images turned.
_PAPER_TRAIN = TrainRecipe(
    epochs=100,
    batch_size=128,
    weights=WeightRecipe(optimiser="sgd", lr=0.001, final_lr=0.001, momentum=0.9, weight_decay=5e-4),
    label_smoothing=0.0,
)


def _paper(height: int, width: int) -> Preset:
    return Preset(
        help=f"the settings of the MNet paper at {height}×{width} pixels; days on a CPU",
        height=height,
        width=width,
        space=LayerwiseConfig(height, width, classes=2),
        methods={"enas": EnasSettings(), "random": RandomSettings()},
        train=_PAPER_TRAIN,
        augment=replace(Augment.none(), horizontal_flip=0.5),
        rotate_portrait=True,
        search_batch=128,
    )


PRESETS: Mapping[str, Preset] = {
    "quick": QUICK,
    "standard": STANDARD,
    "paper": _paper(24, 32),
    "paper-120x160": _paper(120, 160),
}
