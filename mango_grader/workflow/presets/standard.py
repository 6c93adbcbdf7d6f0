"""The preset for one GPU and about an hour: the quick one, larger and longer."""

from dataclasses import replace

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
from mango_grader.automl.samplers import EvolutionSettings
from mango_grader.automl.spaces import (
    DagConfig,
    LiteConfig,
    MbconvConfig,
    MultiscaleConfig,
    NasBench201Config,
    NasnetConfig,
    ShufflenetConfig,
)
from mango_grader.datasets.augmentation import Augment
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets.base import Preset, TrainingSetup
from mango_grader.workflow.presets.quick import CONTROLLER, SHARED_ADAMW, compact_layerwise

_SIZE = 224
_CLASSES = 2

STANDARD = Preset(
    setup=TrainingSetup(
        _SIZE, _SIZE, TrainRecipe(epochs=200, batch_size=64), Augment(), search_batch=64, teacher="auto"
    ),
    spaces={
        "layerwise": compact_layerwise(_SIZE, _SIZE, channels=64, stem=32, exits=(3, 6, 9, 12), dilations=(1, 2)),
        "multiscale": MultiscaleConfig(_SIZE, _SIZE, _CLASSES, depth=7, nodes=2, stem_stride=4, exits=(3, 4, 5, 6, 7)),
        "lite": LiteConfig(_SIZE, _SIZE, _CLASSES, elastic=True),
        "mbconv": MbconvConfig(_SIZE, _SIZE, _CLASSES),
        "dag": DagConfig(_SIZE, _SIZE, _CLASSES, channels=32, stages=(2, 2, 4), stem_stride=4, exits=(2, 4, 8)),
        "nasnet": NasnetConfig(_SIZE, _SIZE, _CLASSES, stem_stride=4),
        "shufflenet": ShufflenetConfig(_SIZE, _SIZE, _CLASSES),
        "nasbench201": NasBench201Config(_SIZE, _SIZE, _CLASSES, stem_stride=4),
    },
    methods={
        "enas": EnasSettings(epochs=100, steps=2000, paths=4, samples=100, weights=SHARED_ADAMW, controller=CONTROLLER),
        "ms-ranas": MsRanasSettings(lr=3e-3, weights=SHARED_ADAMW),
        "betanas": BetaNasSettings(
            epochs=100, warmup=10, held_out=0.2, drop_every=5, binary=BinaryGateSettings(lr=0.02), weights=SHARED_ADAMW
        ),
        "proxylessnas": ProxylessNasSettings(
            epochs=75, warmup=25, held_out=0.2, binary=BinaryGateSettings(lr=0.02), weights=SHARED_ADAMW
        ),
        "dso": DsoSettings(
            pretrain=30, epochs=60, gamma=None, keep=0.4, lr=0.3, weights=replace(SHARED_ADAMW, frozen_scale=True)
        ),
        "tnas-os": TnasOsSettings(
            epochs=100, samples=10, held_out=0.2, recalibration=8, evolution=EvolutionSettings(), weights=SHARED_ADAMW
        ),
        "tnas-g": TnasGSettings(
            epochs=100, warmup=33, binary=BinaryGateSettings(lr=0.02, cost_weight=0.0), weights=SHARED_ADAMW
        ),
        "spos": SposSettings(epochs=100, held_out=0.2, recalibration=8, weights=SHARED_ADAMW),
        "random": RandomSettings(epochs=100, samples=500, weights=SHARED_ADAMW),
    },
)
