"""The expected cost of relaxed decisions without a unit, so that a weight of it means the same under any price."""

from torch import Tensor

from mango_grader.automl.cost import CostModel, Probabilities


class RelativeCost:
    """E[cost] up to the last exit, in units of what the space costs in the mean before anything is decided.

    Args:
        undecided: how likely each candidate is then, (candidates,) per decision.
    """

    def __init__(self, undecided: Probabilities) -> None:
        self._undecided, self._unit = undecided, 0.0

    def __call__(self, cost: CostModel, probabilities: Probabilities) -> Tensor:
        """Return the expected cost, a scalar that carries the gradients of `probabilities`.

        Args:
            cost: the price, always the same one.
            probabilities: by decision, how likely each candidate is to be chosen, (candidates,).
        """
        return cost.expected(probabilities)[-1] / self.unit(cost)

    def unit(self, cost: CostModel) -> float:
        """Return what the undecided space costs."""
        if not self._unit:
            self._unit = float(cost.expected(self._undecided)[-1])
        return self._unit
