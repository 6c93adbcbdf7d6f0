"""What a search hands over to the training of its result: a network, and the weights that it was found with."""

from mango_grader.workflow.hand_over.found import Found
from mango_grader.workflow.hand_over.inheritance import (
    InheritedWeights,
    begun,
    inherit,
    keep_better,
    keeps_inherited,
    recipe_for,
)
from mango_grader.workflow.hand_over.shortlist import Shortlist, ShortTrainings

__all__ = [
    "Found",
    "InheritedWeights",
    "ShortTrainings",
    "Shortlist",
    "begun",
    "inherit",
    "keep_better",
    "keeps_inherited",
    "recipe_for",
]
