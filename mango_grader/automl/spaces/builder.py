"""GraphBuilder: writes a SearchGraph from the image on, and knows the shape of everything written so far."""

from collections.abc import Sequence

from mango_grader.automl.graph import Branch, Choice, SearchGraph
from mango_grader.models.operations import Operation, Shape
from mango_grader.models.spec import IMAGE, Node


class GraphBuilder:
    """A graph in the making, for spaces whose operations depend on the shapes of what they read."""

    def __init__(self, image: Shape) -> None:
        self.shapes: dict[str, Shape] = {IMAGE: image}
        self._nodes: list[Node | Choice] = []

    def add(self, name: str, op: Operation, *inputs: str) -> str:
        """Append a node and return its name."""
        self._nodes.append(Node(name, op, inputs))
        self.shapes[name] = op.output([self.shapes[each] for each in inputs])
        return name

    def choose(self, name: str, decision: str, branches: Sequence[Branch]) -> str:
        """Append a choice, of which at least one branch does something, and return its name."""
        self._nodes.append(Choice(name, decision, tuple(branches)))
        self.shapes[name] = next(
            branch.op.output([self.shapes[each] for each in branch.inputs]) for branch in branches if branch.op
        )
        return name

    def finish(self, exits: Sequence[str]) -> SearchGraph:
        """Return the graph; raises ValueError where the branches of a choice differ in shape."""
        return SearchGraph(self.shapes[IMAGE], tuple(self._nodes), tuple(exits))
