"""What a search hands over to the training of its result: a network, and the weights that it was found with."""

from mango_grader.workflow.hand_over.inheritance import InheritedWeights, inherit, keep_better, keeps_inherited

__all__ = ["InheritedWeights", "inherit", "keep_better", "keeps_inherited"]
