"""Fusions: how the answers to the views of one fruit become one answer. Each is one module."""

from collections.abc import Mapping

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions.base import Fusion, FusionContext, ParsedFusion, fuse
from mango_grader.line.grading.fusions.evidence import Pooled
from mango_grader.line.grading.fusions.mean import Mean
from mango_grader.line.grading.fusions.vote import Vote
from mango_grader.line.grading.fusions.worst import Worst

__all__ = ["FUSIONS", "Fusion", "FusionContext", "Mean", "Pooled", "Vote", "Worst", "fuse", "parse_fusion"]

FUSIONS: Mapping[str, type[ParsedFusion]] = {"evidence": Pooled, "mean": Mean, "vote": Vote, "worst": Worst}
"""Every fusion, by the name before its colon."""


def parse_fusion(text: str, context: FusionContext) -> Fusion:
    """Return the fusion that a text names.

    Args:
        text: name of a fusion, or its name, a colon and an argument: "mean", "evidence:0.4".
        context: what the model offers.

    Raises:
        UsageError: if there is no such fusion, or if the model lacks what it needs.
    """
    name, colon, argument = text.partition(":")
    if name in FUSIONS and (argument or not colon) and argument.isprintable():
        return FUSIONS[name].parse(argument, context)
    raise UsageError(f"fusion {text[:40]!r} is unknown; use {', '.join(each.form for each in FUSIONS.values())}")
