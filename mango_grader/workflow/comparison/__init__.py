"""`mango-grader compare`: many runs of one split, each an outcome, pooled and paired into a ranking."""

from mango_grader.workflow.comparison.compare import Comparison, ComparisonFolder, compare

__all__ = ["Comparison", "ComparisonFolder", "compare"]
