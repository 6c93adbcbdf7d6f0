"""What joins the contract suites: one line per space, one line per method."""

from collections.abc import Mapping
from dataclasses import replace

from mango_grader.automl.methods import (
    BetaNasSettings,
    DsoSettings,
    EnasSettings,
    MethodSettings,
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
    SpaceConfig,
)
from mango_grader.training.recipe import WeightRecipe

CLASSES = 3
_WEIGHTS = WeightRecipe(optimiser="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4, clip=5.0)
_EVOLUTION = EvolutionSettings(population=3, generations=2, parents=2, crossovers=1, mutations=1)
_VAE = VaeSettings(latent=2, width=8, heads=2, layers=1, kept=4, steps=5, batch=4)

_DAG = DagConfig(
    12, 16, CLASSES, channels=8, stages=(1, 1), levels=2, operations=("sep3", "max3"), stem_stride=2, exits=(1, 2)
)

# Inputs of at most 16 pixels and two or three layers: small enough to run all pairs.
SPACES: Mapping[str, SpaceConfig] = {
    "layerwise": LayerwiseConfig(
        16, 12, CLASSES, depth=3, channels=8, widen=1.5, reduce_at=(2,), kernels=(3, 5), dilations=(1, 2), exits=(1, 3)
    ),
    "dag": _DAG,
    "dag-full": replace(_DAG, share=False),
    "nasbench201": NasBench201Config(10, 14, CLASSES, channels=8, cells=1, exits=(1, 3)),
    "multiscale": MultiscaleConfig(12, 16, CLASSES, depth=3, scales=2, channels=4, nodes=2, exits=(2, 3)),
    "nasnet": NasnetConfig(
        16, 12, CLASSES, depth=3, channels=4, nodes=2, stem_stride=2, stem_channels=8, reduce_at=(2,), exits=(2, 3)
    ),
    "mbconv": MbconvConfig(
        *(16, 12, CLASSES),
        stem_stride=1,
        stem_channels=8,
        first_channels=4,
        channels=(8, 12),
        blocks=(1, 2),
        strides=(2, 2),
        kernels=(3, 5),
        expansions=(2, 3),
        exits=(1, 2),
        head=16,
        dropout=0.0,
    ),
    "lite": LiteConfig(
        *(16, 12, CLASSES),
        stem_stride=1,
        stem_channels=8,
        first_channels=4,
        channels=(8, 12),
        blocks=(1, 2),
        strides=(1, 2),
        kernels=(3, 5),
        expansions=(2, 3),
        exits=(1, 2),
        head=16,
        halving="searched",
        elastic=True,
    ),
    "shufflenet": ShufflenetConfig(
        *(12, 16, CLASSES),
        stem_stride=1,
        stem_channels=8,
        channels=(12, 16),
        blocks=(1, 2),
        kernels=(3, 5),
        exits=(1, 2),
        head=16,
    ),
}

METHODS: Mapping[str, MethodSettings] = {
    "dso": DsoSettings(
        pretrain=1, epochs=2, gamma=0.05, lr=0.5, clip=0.1, weights=replace(_WEIGHTS, nesterov=True, frozen_scale=True)
    ),
    "enas": EnasSettings(epochs=2, steps=20, samples=3, weights=_WEIGHTS, controller=ControllerSettings(lr=0.02)),
    "ms-ranas": MsRanasSettings(epochs=3, lr=0.05, weights=_WEIGHTS),
    "random": RandomSettings(epochs=3, samples=3, weights=_WEIGHTS),
    "spos": SposSettings(epochs=3, recalibration=2, evolution=_EVOLUTION, weights=_WEIGHTS),
    "tnas-os": TnasOsSettings(
        epochs=3, epsilon_step=0.5, samples=3, recalibration=2, vae=_VAE, evolution=_EVOLUTION, weights=_WEIGHTS
    ),
    "tnas-g": TnasGSettings(epochs=3, samples=3, vae=_VAE, weights=_WEIGHTS),
    "betanas": BetaNasSettings(
        epochs=3, interval=2, held_out=0.2, binary=BinaryGateSettings(lr=0.05), weights=_WEIGHTS
    ),
    "proxylessnas": ProxylessNasSettings(
        epochs=2, warmup=1, interval=2, held_out=0.2, binary=BinaryGateSettings(lr=0.05), weights=_WEIGHTS
    ),
}
# Uniform search and evolution have no parameters of their own that steps could move.
LEARNING_METHODS = [name for name in METHODS if name not in ("random", "spos")]
# What these open in their first weight steps is no path, by design; all other methods open even ones.
OPEN_EVERYTHING: Mapping[str, str] = {
    "dso": "prunes the complete graph (Zhang et al. 2018, §3.1)",
    "ms-ranas": "mixes all candidates by softmax (Eq. 1)",
}
