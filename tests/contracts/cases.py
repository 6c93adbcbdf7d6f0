"""What joins the contract suites: one line per space, one line per method."""

from collections.abc import Mapping
from dataclasses import replace

from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.methods import EnasSettings, MethodSettings, RandomSettings
from mango_grader.automl.samplers import ControllerSettings
from mango_grader.automl.spaces import DagConfig, LayerwiseConfig, MultiscaleConfig, NasBench201Config, NasnetConfig
from mango_grader.training.recipe import WeightRecipe

CLASSES = 3
_WEIGHTS = WeightRecipe(optimiser="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4, clip=5.0)

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
    "nasnet": NasnetConfig(
        16, 12, CLASSES, depth=3, channels=4, nodes=2, stem_stride=2, stem_channels=8, reduce_at=(2,), exits=(2, 3)
    ),
    "multiscale": MultiscaleConfig(12, 16, CLASSES, depth=3, scales=2, channels=4, nodes=2, exits=(2, 3)),
}

METHODS: Mapping[str, MethodSettings] = {
    "enas": EnasSettings(epochs=2, steps=20, samples=3, weights=_WEIGHTS, controller=ControllerSettings(lr=0.02)),
    "random": RandomSettings(epochs=3, samples=3, weights=_WEIGHTS),
}
# Uniform search and evolution have no parameters of their own that steps could move.
LEARNING_METHODS = [name for name in METHODS if name not in ("random", "spos")]
