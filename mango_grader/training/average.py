"""An exponential moving average of weights: often better, and steadier, than the weights of the last step."""

import torch
from torch import nn


class MovingAverage:
    """Lets the state of one net follow that of another which learns: a ← d·a + (1 − d)·w after each step.

    d = min(decay, (1 + step) / (10 + step)), so that a short training does not end near its first weights. BatchNorm's
    running figures follow alike; whole numbers are copied. The follower is any net whose state has names that are also
    the learner's. (torch's own AveragedModel waits for the device at each step.)
    """

    def __init__(self, follower: nn.Module, learner: nn.Module, decay: float) -> None:
        self.decay = decay
        learned = learner.state_dict()
        pairs = [(own, learned[name]) for name, own in follower.state_dict().items()]
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._whole = [pair for pair in pairs if not pair[0].is_floating_point()]

    def decay_at(self, step: int) -> float:
        """Return d after step `step`, from 0."""
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights as step `step` left them."""
        torch._foreach_lerp_(
            [own for own, _ in self._floats], [new for _, new in self._floats], 1 - self.decay_at(step)
        )
        for own, new in self._whole:
            own.copy_(new)
