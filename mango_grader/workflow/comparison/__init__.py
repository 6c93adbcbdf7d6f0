"""`mango-grader compare` and `sweep`: many runs of one split, each an outcome, pooled and paired into a ranking."""

from mango_grader.workflow.comparison.compare import Comparison, ComparisonFolder, compare
from mango_grader.workflow.comparison.sweep import Sweep, SweepFolder, read_sweep, sweep

__all__ = ["Comparison", "ComparisonFolder", "Sweep", "SweepFolder", "compare", "read_sweep", "sweep"]
