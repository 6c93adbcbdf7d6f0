"""A small training whose steps several ranks share: its network, images and recipes."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from mango_grader.models import NetworkSpec, Node
from mango_grader.models.operations import Add, Classifier, Convolution
from mango_grader.models.spec import IMAGE
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.learner import Learner
from mango_grader.training.recipe import TrainRecipe, WeightRecipe

STEPS = 20
SGD = WeightRecipe("sgd", 0.05, clip=5.0)
PLAIN = TrainRecipe(epochs=4, batch_size=9, weights=SGD)  # rank 0 has five rows of nine, rank 1 four
TERMS = replace(PLAIN, loss="ordinal", balance=1.0, distil=0.5, ema=0.9, exit_weights=(1.0, 2.0), exit_gradient=0.5)


def network(*, norm: bool, dropout: float = 0.0, wide: int = 8) -> NetworkSpec:
    return NetworkSpec(
        (3, 8, 8),
        (
            Node("stem", Convolution(3, wide, 3, norm=norm), (IMAGE,)),
            Node("early", Classifier(wide, 3, dropout=dropout), ("stem",)),
            Node("body", Convolution(wide, wide, 3, stride=2, norm=norm), ("stem",)),
            Node("more", Convolution(wide, wide, 3, norm=norm), ("body",)),
            Node("sum", Add(), ("body", "more")),
            Node("late", Classifier(wide, 3, dropout=dropout), ("sum",)),
        ),
        ("early", "late"),
    )


def examples(count: int = 60) -> Examples:
    """Return images of three classes, one of which is rare, so that ranks have unequal shares of it."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, count, p=(0.5, 0.4, 0.1))
    images = rng.integers(0, 150, (count, 8, 8, 3)).astype(np.uint8)
    images[np.arange(count), :, :, labels] += 90
    return Examples(images, labels, np.arange(count))


def batches(size: int = 9) -> Batches:
    return Batches(examples(), size, 5)


def steps(learner: Learner, count: int = STEPS) -> torch.Tensor:
    learner.begin_epoch(0)
    return torch.stack([learner.step(number) for number in range(count)])


def same_weights(first: nn.Module, second: nn.Module, tolerance: float = 1e-4) -> None:
    own, other = (
        {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
        for net in (first, second)
    )
    torch.testing.assert_close(own, other, rtol=0, atol=tolerance)
