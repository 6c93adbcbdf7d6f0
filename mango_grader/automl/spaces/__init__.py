"""Search spaces: one module each, a frozen dataclass of settings. A new one is exported here, and nowhere else."""

from collections.abc import Mapping

from mango_grader.automl.spaces.base import Decision, SpaceConfig
from mango_grader.automl.spaces.dag import DagConfig
from mango_grader.automl.spaces.layerwise import LayerwiseConfig
from mango_grader.automl.spaces.lite import LiteConfig
from mango_grader.automl.spaces.mbconv import MbconvConfig
from mango_grader.automl.spaces.multiscale import MultiscaleConfig
from mango_grader.automl.spaces.nasbench201 import NasBench201Config
from mango_grader.automl.spaces.nasnet import NasnetConfig
from mango_grader.automl.spaces.shufflenet import ShufflenetConfig

SPACES: Mapping[str, type[SpaceConfig]] = {
    space.kind: space
    for space in (
        LayerwiseConfig, DagConfig, NasBench201Config, MultiscaleConfig,
        NasnetConfig, MbconvConfig, LiteConfig, ShufflenetConfig,
    )
}  # fmt: skip

__all__ = [
    "SPACES", "DagConfig", "Decision", "LayerwiseConfig", "LiteConfig", "MbconvConfig", "MultiscaleConfig",
    "NasBench201Config", "NasnetConfig", "ShufflenetConfig", "SpaceConfig",
]  # fmt: skip
