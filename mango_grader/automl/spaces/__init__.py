"""Search spaces: one file each, a settings dataclass that writes its decisions and its graph. All are exported here."""

from collections.abc import Mapping

from mango_grader.automl.architecture import SpaceConfig
from mango_grader.automl.spaces.base import SearchSpace, Tokens
from mango_grader.automl.spaces.layerwise import LayerwiseConfig
from mango_grader.automl.spaces.multiscale import MultiscaleConfig
from mango_grader.automl.spaces.nasnet import NasnetConfig

SPACES: Mapping[str, type[SpaceConfig]] = {space.kind: space for space in (LayerwiseConfig, NasnetConfig, MultiscaleConfig)}

__all__ = [
    "SPACES", "LayerwiseConfig", "MultiscaleConfig", "NasnetConfig", "SearchSpace", "Tokens",
]  # fmt: skip
