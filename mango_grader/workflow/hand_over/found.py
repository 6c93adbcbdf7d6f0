"""Found: what a search hands over to the training."""

from dataclasses import dataclass, replace
from typing import Self

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.supernet import Supernet
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec
from mango_grader.workflow.hand_over.inheritance import InheritedWeights, inherit
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class Found:
    """What a search hands over to the training.

    Attributes:
        architecture: the choices, in the space as it is trained.
        spec: the network that they make.
        weights: with which its training begins; None begins from --init-from, or from scratch.
    """

    architecture: Architecture
    spec: NetworkSpec
    weights: InheritedWeights | None = None

    @classmethod
    def of(cls, architecture: Architecture) -> Self:
        """Return what a search that ended with `architecture` hands over, without weights."""
        final = SearchSpace(architecture.space).final
        trained = Architecture(final.config, architecture.choices)
        return cls(trained, final.derive(trained))

    def inheriting(self, supernet: Supernet, run: RunContext) -> Self:
        """Return the same with the weights that it inherits, if the run's settings want that.

        Args:
            supernet: in which it was found.
            run: the search.
        """
        search = run.config.search
        if search is None or not search.inherit:
            return self
        weights = inherit(self.spec, supernet.weights_for(self.architecture), search.fine_tune.recalibration, run)
        return replace(self, weights=weights)

    def save(self, folder: RunFolder) -> None:
        """Write everything; network.json comes last, since its presence ends the search."""
        if self.weights is not None:
            self.weights.save(folder.inherited)
        write_json(folder.architecture, self.architecture.to_dict())
        write_json(folder.network, self.spec.to_dict())

    @classmethod
    def load(cls, folder: RunFolder) -> Self:
        """Read what an interrupted run had found."""
        architecture = Architecture.from_dict(read_json(folder.architecture))
        spec = NetworkSpec.from_dict(read_json(folder.network))
        return cls(architecture, spec, InheritedWeights.load(folder.inherited))
