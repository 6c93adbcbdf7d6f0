"""Networks as plain data (`NetworkSpec`) and as torch modules (`AnytimeClassifier`)."""

from mango_grader.models.anytime import AnytimeClassifier, FromBytes, build_network
from mango_grader.models.spec import NetworkSpec, Node

__all__ = ["AnytimeClassifier", "FromBytes", "NetworkSpec", "Node", "build_network"]
