"""The preset for two CPU cores and some minutes."""

from mango_grader.automl.methods import EnasSettings, RandomSettings
from mango_grader.automl.samplers import ControllerSettings
from mango_grader.automl.spaces import DagConfig, LayerwiseConfig, MultiscaleConfig, NasBench201Config, NasnetConfig
from mango_grader.datasets.augment import Augment
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.workflow.presets.base import Preset, Regime

_SIZE = 128


def compact_layerwise(
    height: int, width: int, channels: int, stem: int, exits: tuple[int, ...], dilations: tuple[int, ...]
) -> LayerwiseConfig:
    """Return MNet's space made small: five halvings, kernels up to 7."""
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


SHARED_ADAMW = WeightRecipe(optimiser="adamw", lr=3e-3, warmup=0.05, weight_decay=0.05, decay_norms=False, clip=5.0)
# MNet's rate for the controller, 0.1, collapses it within some 50 steps (tests/contracts/planted.py shows it).
CONTROLLER = ControllerSettings(lr=0.01, baseline_decay=0.9)

QUICK = Preset(
    help="two CPU cores, minutes: 128×128 pixels, compact spaces",
    regime=Regime(_SIZE, _SIZE, TrainRecipe(epochs=60), Augment()),
    spaces={
        # Dilated depthwise convolutions train at half the speed on CPUs, and five halvings see far enough without.
        "layerwise": compact_layerwise(_SIZE, _SIZE, channels=48, stem=24, exits=(3, 6, 12), dilations=(1,)),
        # Direct sparse search runs the whole unpruned network in every step: a second for 32 images on one core.
        "dag": DagConfig(
            _SIZE,
            _SIZE,
            classes=2,
            channels=20,
            stages=(1, 1, 2),
            levels=3,
            stem_stride=4,
            exits=(1, 2, 4),
        ),
        "nasbench201": NasBench201Config(_SIZE, _SIZE, classes=2, channels=12, cells=2, stem_stride=4, exits=(2, 4, 6)),
        "nasnet": NasnetConfig(
            _SIZE,
            _SIZE,
            classes=2,
            depth=6,
            nodes=2,
            stem_stride=4,
            stem_channels=16,
            reduce_at=(1, 3),
            exits=(2, 4, 6),
        ),
        # Two nodes, as in MS-RANAS's compact network: a step with all candidates open takes two seconds on one core.
        "multiscale": MultiscaleConfig(_SIZE, _SIZE, classes=2, nodes=2, stem_stride=4),
    },
    methods={
        "enas": EnasSettings(epochs=30, steps=75, paths=4, samples=30, weights=SHARED_ADAMW, controller=CONTROLLER),
        "random": RandomSettings(epochs=30, samples=100, weights=SHARED_ADAMW),
    },
)
