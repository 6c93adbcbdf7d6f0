"""A space with every kind of decision, for samplers, which look at decisions only."""

from dataclasses import dataclass
from typing import ClassVar

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import SearchGraph
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Classifier
from mango_grader.models.spec import IMAGE, Node


@dataclass(frozen=True)
class KindsConfig(SpaceConfig):
    """One of five, twice; two of six edges, at most one per group; any of four."""

    kind: ClassVar[str] = "kinds"

    def decisions(self) -> tuple[Decision, ...]:
        edges = tuple(f"{source}:{op}" for source in "abc" for op in "xy")
        return (
            Decision("first", tuple("abcde")),
            Decision("second", tuple("abcde")),
            Decision("edges", edges, 2, 2, groups=((0, 1), (2, 3), (4, 5)), zero=True),
            Decision("any", tuple("pqrs"), 0, 4),
        )

    def graph(self) -> SearchGraph:
        return SearchGraph((3, 8, 8), (Node("exit", Classifier(3, self.classes), (IMAGE,)),), ("exit",))


def kinds() -> SearchSpace:
    return SearchSpace(KindsConfig(8, 8, 2))


def legal(space: SearchSpace, architecture: Architecture) -> bool:
    return all(decision.allows(architecture.choices[decision.name]) for decision in space.decisions)


__all__ = ["kinds", "legal"]
