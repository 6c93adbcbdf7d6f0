"""Relaxations: numbers that learn by gradient in place of decisions, and the way back from them to an architecture."""

from mango_grader.automl.relaxations.binary_gates import BinaryGates, BinaryGateSettings
from mango_grader.automl.relaxations.relative_cost import RelativeCost
from mango_grader.automl.relaxations.rounding import drawn_by, nearest_feasible
from mango_grader.automl.relaxations.sparsity import ApgNag, BlockShares, memory_shares

__all__ = [
    "ApgNag", "BinaryGateSettings", "BinaryGates", "BlockShares", "RelativeCost", "drawn_by", "memory_shares",
    "nearest_feasible",
]  # fmt: skip
