"""DARTS's relaxation: one softmax for each exclusive group of a decision's candidates (Liu et al. 2018, Eq. 2)."""

import torch
from torch import Tensor

from mango_grader.automl.architecture import Decision


class GroupSoftmax:
    """One decision's α (size,), the candidates' first and then those of nothing, to its weights (candidates,)."""

    def __init__(self, decision: Decision) -> None:
        count = len(decision.candidates)
        self.everything = tuple(range(count))
        groups = [self.everything]
        if decision.groups or decision.free:
            groups = list(dict.fromkeys(decision.group_of(index) for index in range(count)))
        if decision.zero or decision.free:
            groups = [(*group, count + number) for number, group in enumerate(groups)]
        self.size = sum(len(group) for group in groups)
        self._rivals = torch.zeros(self.size, self.size, dtype=torch.bool)  # who shares a softmax with whom
        for group in groups:
            self._rivals[torch.tensor(group)[:, None], torch.tensor(group)] = True

    def __call__(self, alphas: Tensor) -> Tensor:
        """Relax."""
        rivals = alphas.masked_fill(~self._rivals.to(alphas.device), -torch.inf)
        return torch.softmax(rivals, 1).diagonal()[: len(self.everything)]
