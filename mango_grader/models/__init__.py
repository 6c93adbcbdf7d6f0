"""Networks as plain data (`NetworkSpec`) and as torch modules (`AnytimeClassifier`).

Importing it, or the data alone, does not import torch.
"""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names
from mango_grader.models.spec import NetworkSpec, Node

if TYPE_CHECKING:
    from mango_grader.models.anytime import AnytimeClassifier, FromBytes, build_network

__all__ = ["AnytimeClassifier", "FromBytes", "NetworkSpec", "Node", "build_network"]

__getattr__ = lazy_names(__name__, {"anytime": ("AnytimeClassifier", "FromBytes", "build_network")})


def __dir__() -> list[str]:
    return __all__
