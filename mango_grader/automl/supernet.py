"""The super net: every candidate of every decision, of which only those that the gates open are run."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mango_grader.automl.architecture import Architecture, Decision
from mango_grader.automl.gates import Gate, Gates
from mango_grader.automl.graph import Choice, SearchGraph
from mango_grader.models.modules import build_operation, call
from mango_grader.models.operations import Add
from mango_grader.models.spec import IMAGE


class Supernet(nn.Module):
    """Shared weights of a whole search space.

    Its modules are named as those of derived networks, and are of the same classes. Candidates that are not active
    are not executed, so they get no gradient and, with gradients set to None, no decay or momentum either.
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
        self.nodes = nn.ModuleDict()
        for node in graph.nodes:
            if not isinstance(node, Choice):
                self.nodes[node.name] = build_operation(node.op)
                continue
            for branch in node.branches:
                if branch.op is not None:
                    self.nodes[node.module_name(branch)] = build_operation(branch.op)

    def forward(self, images: Tensor, gates: Gates) -> list[Tensor]:
        """Normalised images (N, 3, H, W) → logits (N, classes) per exit, under `gates` (one per decision)."""
        needed = self._needed(gates)
        values: dict[str, Tensor | None] = {IMAGE: images}
        for node in self.graph.nodes:
            if node.name not in needed:
                values[node.name] = None
            elif isinstance(node, Choice):
                values[node.name] = self._mix(node, gates[node.decision], values)
            else:
                inputs = _present(node.inputs, values, keep_rest=isinstance(node.op, Add))
                values[node.name] = call(self.nodes[node.name], inputs) if inputs else None
        logits = [values[name] for name in self.graph.exits]
        if any(value is None for value in logits):
            raise ValueError("these gates cut an exit off from the image")
        return [value for value in logits if value is not None]

    def _mix(self, choice: Choice, gate: Gate, values: Mapping[str, Tensor | None]) -> Tensor | None:
        total: Tensor | None = None
        for index, branch in self._branches[choice.name]:
            if index not in gate.active or branch.op is None:
                continue
            inputs = _present(branch.inputs, values, keep_rest=isinstance(branch.op, Add))
            if not inputs:
                continue
            value = call(self.nodes[choice.module_name(branch)], inputs)
            if gate.weight is not None:
                value = value * gate.weight[index]
            total = value if total is None else total + value
        return total

    def _needed(self, gates: Gates) -> set[str]:
        """Return the nodes that some exit depends on under these gates: dead ones are not worth running."""
        needed = set(self.graph.exits)
        for node in reversed(self.graph.nodes):
            if node.name not in needed:
                continue
            if isinstance(node, Choice):
                active = gates[node.decision].active
                needed.update(name for i, b in self._branches[node.name] if i in active for name in b.inputs)
            else:
                needed.update(node.inputs)
        return needed

    def weights_for(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the state that loads strictly into `build_network(space.derive(architecture))`."""
        kept = {node.name for node in self.graph.derive(architecture.choices).nodes}
        prefixes = {f"nodes.{name}." for name in kept}
        return {
            key: value.detach().clone()
            for key, value in self.state_dict().items()
            if any(key.startswith(prefix) for prefix in prefixes)
        }


def _present(names: Sequence[str], values: Mapping[str, Tensor | None], *, keep_rest: bool) -> list[Tensor]:
    present = [value for name in names if (value := values[name]) is not None]
    return present if keep_rest or len(present) == len(names) else []
