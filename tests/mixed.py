"""A tiny space with one decision of each kind (a DARTS node, one of two, a free subset), and searches of it."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.automl.methods import SearchMethod
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.models.operations import Add, Classifier, Convolution, Identity
from mango_grader.models.spec import IMAGE, Node
from mango_grader.training.batches import Batches, Examples


@dataclass(frozen=True)
class MixedConfig(SpaceConfig):
    """stem → node: two edges → one: a kernel → any: a free subset in front of a convolution → sum."""

    kind: ClassVar[str] = "mixed"
    smooth: bool = False  # without BatchNorm and ReLU

    def decisions(self) -> tuple[Decision, ...]:
        edges = ("image-k1", "image-k3", "stem-k1", "stem-k3")
        return (
            Decision("node", edges, 2, 2, groups=((0, 1), (2, 3)), zero=True),
            Decision("one", ("k1", "k3")),
            Decision("any", ("stem", "node", "one"), 0, 3),
        )

    def graph(self) -> SearchGraph:
        def conv(before: int, kernel: int) -> Convolution:
            return Convolution(before, 4, kernel, norm=not self.smooth, activate=not self.smooth)

        def edge(name: str, before: int, kernel: int, source: str) -> Branch:
            return Branch(f"{name}-k{kernel}", conv(before, kernel), (source,))

        edges = [edge("image", 3, k, IMAGE) for k in (1, 3)] + [edge("stem", 4, k, "stem") for k in (1, 3)]
        any_in = {"stem": "stem", "node": "block1/node", "one": "block2/one"}
        nodes = (
            Node("stem", conv(3, 3), (IMAGE,)),
            Choice("block1/node", "node", tuple(edges)),
            Node("exit1", Classifier(4, self.classes), ("block1/node",)),
            Choice("block2/one", "one", tuple(Branch(f"k{k}", conv(4, k), ("block1/node",)) for k in (1, 3))),
            Choice("block3/in", "any", tuple(Branch(name, Identity(), (node,)) for name, node in any_in.items())),
            Node("block3/conv", conv(4, 3), ("block3/in",)),
            Node("block3", Add(activate=False), ("block2/one", "block3/conv")),
            Node("exit2", Classifier(4, self.classes), ("block3",)),
        )
        return SearchGraph((3, self.height, self.width), nodes, ("exit1", "exit2"))


def search_of(method: type[SearchMethod], settings: Any, config: SpaceConfig | None = None) -> Search:
    """Return a freshly seeded search of 32 images that are easy to tell apart, in batches of 8."""
    space = SearchSpace(config or MixedConfig(8, 8, 2))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 32)
    images = rng.integers(0, 120, (32, space.config.height, space.config.width, 3), dtype=np.uint8)
    images[np.arange(32), :, :, labels] += 100
    parts = [Examples(images, labels, rows) for rows in np.split(np.arange(32), 2)]
    return build_search(method, settings, SearchProblem(space), SearchData(Batches(parts[0], 8, 0), parts[1]), seed=0)


__all__ = ["MixedConfig", "search_of"]
