"""Search spaces: one file each, a settings dataclass that writes its decisions and its graph."""

from mango_grader.automl.spaces.base import SearchSpace, Tokens
from mango_grader.automl.spaces.layerwise import LayerwiseConfig

__all__ = ["LayerwiseConfig", "SearchSpace", "Tokens"]
