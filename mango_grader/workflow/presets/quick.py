"""The preset for two CPU cores and some minutes."""

from dataclasses import replace

from mango_grader.automl.limits import Limits
from mango_grader.automl.methods import (
    BetaNasSettings,
    DsoSettings,
    EnasSettings,
    MsRanasSettings,
    ProxylessNasSettings,
    RandomSettings,
    SposSettings,
    TnasGSettings,
    TnasOsSettings,
)
from mango_grader.automl.relaxations.binary_gates import BinaryGateSettings
from mango_grader.automl.samplers import ControllerSettings, EvolutionSettings, VaeSettings
from mango_grader.automl.spaces import (
    DagConfig,
    LayerwiseConfig,
    LiteConfig,
    MbconvConfig,
    MultiscaleConfig,
    NasBench201Config,
    NasnetConfig,
    ShufflenetConfig,
)
from mango_grader.datasets.augmentation import Augment
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.workflow.presets.base import Preset, TrainingSetup

_SIZE = 128


def compact_layerwise(
    height: int, width: int, channels: int, stem: int, exits: tuple[int, ...], dilations: tuple[int, ...]
) -> LayerwiseConfig:
    """Return MNet's space made small: five halvings, kernels up to 7.

    Args:
        height: of the network's input, in pixels.
        width: of the network's input, in pixels.
        channels: of the first layer.
        stem: channels of the stem.
        exits: layers that end in an exit, from 1.
        dilations: of the kernels.
    """
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
VAE = VaeSettings(layers=1)

# With a teacher and 120 epochs, lesions were told apart best without cutout, and all else varied a little more
# (benchmarks/suite/close_the_gap.py).
_WIDER = Augment(rotate=30.0, scale=0.2, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, cutout_probability=0.0)

QUICK = Preset(
    setup=TrainingSetup(_SIZE, _SIZE, TrainRecipe(epochs=60), _WIDER, teacher="auto"),
    limits=Limits(max_macs=13_000_000),
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
        # Two nodes, as in MS-RANAS's compact network: a step with all candidates open takes two seconds on one core.
        "multiscale": MultiscaleConfig(_SIZE, _SIZE, classes=2, nodes=2, stem_stride=4),
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
        # Elastic, ten of its networks scored 90 %, not 79 %, after 25 s of a core (benchmarks/suite/shared_weights.py).
        "lite": LiteConfig(_SIZE, _SIZE, classes=2, elastic=True),
        # Few blocks where features are large: most of a step's time goes there, 7×7 kernels included.
        "mbconv": MbconvConfig(
            _SIZE,
            _SIZE,
            classes=2,
            stem_channels=12,
            first_channels=8,
            channels=(12, 24, 56, 64),
            blocks=(1, 2, 4, 2),
            strides=(2, 2, 2, 2),
            exits=(2, 3, 4),
            head=128,
            dropout=0.0,
        ),
        "shufflenet": ShufflenetConfig(
            _SIZE,
            _SIZE,
            classes=2,
            stem_channels=12,
            channels=(40, 96, 160, 256),
            blocks=(1, 2, 6, 2),
            exits=(2, 3, 4),
            head=192,
        ),
    },
    methods={
        # Tens of λ steps, not the published 23,400: γ follows from how many there are.
        "dso": DsoSettings(
            pretrain=4,
            epochs=10,
            gamma=None,
            keep=0.3,
            lr=0.2,
            clip=0.1,
            weights=replace(SHARED_ADAMW, frozen_scale=True),
        ),
        "enas": EnasSettings(epochs=30, steps=75, paths=4, samples=30, weights=SHARED_ADAMW, controller=CONTROLLER),
        "ms-ranas": MsRanasSettings(epochs=10, lr=0.02, weights=SHARED_ADAMW),
        "random": RandomSettings(epochs=30, samples=100, weights=SHARED_ADAMW),
        # Scores with statistics of their own take three times as long as others: some 150 of them.
        "spos": SposSettings(
            epochs=30,
            held_out=0.2,
            recalibration=4,
            evolution=EvolutionSettings(population=20, generations=7, parents=6, crossovers=10, mutations=10),
            weights=SHARED_ADAMW,
        ),
        "tnas-os": TnasOsSettings(
            epochs=25,
            samples=3,
            held_out=0.2,
            recalibration=4,
            vae=VAE,
            evolution=EvolutionSettings(population=15, generations=5, parents=5, crossovers=7, mutations=8),
            weights=SHARED_ADAMW,
        ),
        "tnas-g": TnasGSettings(
            epochs=20,
            warmup=7,
            samples=5,
            vae=VAE,
            binary=BinaryGateSettings(lr=0.02, cost_weight=0.0),
            weights=SHARED_ADAMW,
        ),
        # In 100 steps the published rate, 1e-3, leaves each p at 1/n; this one brings the largest to about a half.
        "betanas": BetaNasSettings(
            epochs=30,
            warmup=5,
            interval=2,
            drop_every=5,
            held_out=0.2,
            binary=BinaryGateSettings(lr=0.05),
            weights=SHARED_ADAMW,
        ),
        "proxylessnas": ProxylessNasSettings(
            epochs=20, warmup=10, interval=2, held_out=0.2, binary=BinaryGateSettings(lr=0.05), weights=SHARED_ADAMW
        ),
    },
)
