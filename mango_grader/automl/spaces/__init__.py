"""Search spaces: one file each, a settings dataclass that writes its decisions and its graph. All are exported here."""

from collections.abc import Mapping

from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.spaces.base import SearchSpace, Tokens
from mango_grader.automl.spaces.dag import DagConfig
from mango_grader.automl.spaces.layerwise import LayerwiseConfig
from mango_grader.automl.spaces.lite import LiteConfig
from mango_grader.automl.spaces.mbconv import MbconvConfig
from mango_grader.automl.spaces.multiscale import MultiscaleConfig
from mango_grader.automl.spaces.nasbench201 import NasBench201Config, cell_string, from_cell_string
from mango_grader.automl.spaces.nasnet import NasnetConfig
from mango_grader.automl.spaces.shufflenet import ShufflenetConfig

SPACES: Mapping[str, type[SpaceConfig]] = {
    space.kind: space
    for space in (
        LayerwiseConfig,
        DagConfig,
        NasBench201Config,
        MultiscaleConfig,
        NasnetConfig,
        MbconvConfig,
        LiteConfig,
        ShufflenetConfig,
    )
}

__all__ = [
    "SPACES", "DagConfig", "LayerwiseConfig", "LiteConfig", "MbconvConfig", "MultiscaleConfig", "NasBench201Config",
    "NasnetConfig", "SearchSpace", "ShufflenetConfig", "Tokens", "cell_string", "from_cell_string",
]  # fmt: skip
