"""The super net, and the gates under which it runs: all that a search method says to it."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from torch import Tensor, nn

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import Branch, Certain, Choice, Reachability, SearchGraph
from mango_grader.automl.spaces import Decision
from mango_grader.models.elastic import ElasticResidual
from mango_grader.models.modules import build_operation, call
from mango_grader.models.operations import InvertedResidual
from mango_grader.models.spec import IMAGE


@dataclass(frozen=True)
class Gate:
    """One decision, relaxed or taken.

    Attributes:
        active: indices of the candidates that are executed.
        weight: (candidates,), the factor on each one's output; None means a factor of one without a multiplication. A
            zero weight may be active, so that its gradient is known.
    """

    active: tuple[int, ...]
    weight: Tensor | None = None


Gates = Mapping[str, Gate]


def gates_of(architecture: Architecture, decisions: tuple[Decision, ...]) -> Gates:
    """Return the gates under which a super net computes exactly an architecture.

    Args:
        architecture: to be computed.
        decisions: of its space.
    """
    return {
        decision.name: Gate(tuple(decision.candidates.index(name) for name in architecture.choices[decision.name]))
        for decision in decisions
    }


class Supernet(nn.Module):
    """Shared weights of a whole search space.

    Its modules are named as those of derived networks, and are of the same classes. Where the candidates of a choice
    share their weights, the choice has one module, named after it. Candidates that are not active are not executed, so
    they get no gradient and, with gradients set to None, no decay or momentum either.

    Args:
        graph: with every candidate of every decision in its place.
        decisions: what the gates decide.
    """

    def __init__(self, graph: SearchGraph, decisions: tuple[Decision, ...]) -> None:
        super().__init__()
        self.graph = graph
        self.decisions = decisions
        candidates = {decision.name: decision.candidates for decision in decisions}
        self._branches = {
            node.name: tuple((candidates[node.decision].index(b.candidate), b) for b in node.branches)
            for node in graph.nodes
            if isinstance(node, Choice)
        }
        self._opened: tuple[tuple[int, ...], ...] | None = None
        self._runs: Set[str] = set()
        self.nodes = nn.ModuleDict()
        self._slices: dict[str, tuple[str, InvertedResidual]] = {}  # of shared weights: the module, and what of it
        for node in graph.nodes:
            if not isinstance(node, Choice):
                self.nodes[node.name] = build_operation(node.op)
                continue
            if node.shared is not None:
                self.nodes[node.name] = ElasticResidual(node.shared)
            for branch in node.branches:
                name, op = node.module_name(branch), branch.op
                if node.shared is not None and isinstance(op, InvertedResidual):
                    self._slices[name] = node.name, op
                elif op is not None:
                    self.nodes[name] = build_operation(op)

    @property
    def shared(self) -> frozenset[str]:
        """The modules that all candidates of a choice share, as `state_dict` names them."""
        return frozenset(f"nodes.{place}" for place, _ in self._slices.values())

    def forward(self, images: Tensor, gates: Gates) -> list[Tensor]:
        """Run under gates.

        Args:
            images: normalised, (N, 3, H, W).
            gates: one per decision.

        Returns:
            Logits (N, classes) of each exit.

        Raises:
            ValueError: the gates cut an exit off from the image.
        """
        runs = self._running(gates)
        values = {IMAGE: images}
        for node in self.graph.nodes:
            if isinstance(node, Choice):
                mixed = self._mix(node, gates[node.decision].weight, runs, values)
                if mixed is not None:
                    values[node.name] = mixed
            elif node.name in runs:
                values[node.name] = self._call(node.name, node.inputs, values)
        if not values.keys() >= set(self.graph.exits):
            raise ValueError("these gates cut an exit off from the image")
        return [values[name] for name in self.graph.exits]

    def _running(self, gates: Gates) -> Set[str]:
        """Return the modules that run under these gates: what no exit depends on is not worth running."""
        opened = tuple(gates[decision.name].active for decision in self.decisions)
        if opened != self._opened:  # scores and relaxations open the same again and again

            def active(choice: Choice) -> Iterator[tuple[Branch, bool]]:
                indices = gates[choice.decision].active
                return ((branch, True) for index, branch in self._branches[choice.name] if index in indices)

            operations = Reachability(self.graph, active, Certain()).running(self.graph.exits)
            self._opened, self._runs = opened, {each.name for each in operations if each.chance}
        return self._runs

    def _mix(
        self, choice: Choice, weight: Tensor | None, runs: Set[str], values: Mapping[str, Tensor]
    ) -> Tensor | None:
        total: Tensor | None = None
        for index, branch in self._branches[choice.name]:
            name = choice.module_name(branch)
            if name in runs:
                value = self._call(name, branch.inputs, values)
                if weight is not None:
                    value = value * weight[index]
                total = value if total is None else total + value
        return total

    def _call(self, name: str, inputs: Sequence[str], values: Mapping[str, Tensor]) -> Tensor:
        given = [values[each] for each in inputs if each in values]
        if name not in self._slices:
            return call(self.nodes[name], given)
        (features,) = given
        shared, op = self._slice(name)
        return shared.narrowed(features, op)

    def _slice(self, name: str) -> tuple[ElasticResidual, InvertedResidual]:
        """Return the shared weights of a branch, and the operation that it takes of them."""
        place, op = self._slices[name]
        shared = self.nodes[place]
        assert isinstance(shared, ElasticResidual)
        return shared, op

    def weights_for(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the state that loads strictly into `build_network(space.derive(architecture))`."""
        found: dict[str, Tensor] = {}
        for node in self.graph.derive(architecture.choices).nodes:
            if node.name in self._slices:
                shared, op = self._slice(node.name)
                tensors = shared.slices(op)
            else:
                tensors = self.nodes[node.name].state_dict() if node.name in self.nodes else {}
            found |= {f"nodes.{node.name}.{name}": tensor.detach().clone() for name, tensor in tensors.items()}
        return found
